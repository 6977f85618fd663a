"""The marker segments of a JPEG before its first scan: frame, orientation, colour profile."""

import struct
from typing import NamedTuple

from hrformer.images.formats.exif import exif_orientation
from hrformer.images.formats.layout import broken_header

APP0, APP14 = 0xE0, 0xEE
_APP1, _APP2 = 0xE1, 0xE2
_EOI, _SOS, _DHT, _JPG, _DAC = 0xD9, 0xDA, 0xC4, 0xC8, 0xCC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_MARKER = struct.Struct(">xBH")  # and the length of the segment
_MAX_STEPS = 10_000  # segments, fill bytes and stray markers; 20 MiB of metadata make 320 segments


class Segment(NamedTuple):
    """One marker segment before the first scan: its payload is `data[start:end]`."""

    marker: int
    start: int
    end: int


class Frame(NamedTuple):
    """What the frame header says."""

    kind: int
    """number of the SOF marker: 0 baseline, 1 extended, 2 progressive, 9 and 10 with arithmetic coding"""
    bits: int
    width: int
    height: int
    components: int


def segments(data: bytes) -> list[Segment]:
    """The marker segments up to and with the first start of scan.

    raises: BrokenImage if the file ends, or the pixels begin, before the frame header came.
    source: ITU-T T.81, annex B.
    """
    found: list[Segment] = []
    at = 2
    for _ in range(_MAX_STEPS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            raise broken_header("JPEG", "the file ends before the first scan")
        marker, length = _MARKER.unpack_from(data, at)
        if marker in _STANDALONE or marker in (0x00, 0xFF):
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + length
        if marker == _EOI or length < 2 or end > len(data):
            raise broken_header("JPEG", "a segment runs past the end of the file")
        found.append(Segment(marker, at + 4, end))
        if marker == _SOS:
            return found
        at = end
    raise broken_header("JPEG", "it has no end")


def frame_header(data: bytes, found: list[Segment]) -> Frame:
    """The first frame header among the segments.

    raises: BrokenImage if there is none, or one too short.
    """
    for segment in found:
        if segment.marker in _FRAMES and segment.end - segment.start >= 6:
            bits, height, width, components = struct.unpack_from(">BHHB", data, segment.start)
            return Frame(segment.marker - 0xC0, bits, width, height, components)
    raise broken_header("JPEG", "no whole frame header comes before the first scan")


def orientation(data: bytes, found: list[Segment]) -> int:
    """EXIF orientation, 1 to 8."""
    for segment in found:
        if segment.marker == _APP1 and data.startswith(b"Exif\x00\x00", segment.start):
            return exif_orientation(data[segment.start : segment.end])
    return 1


def colour_profile(data: bytes, found: list[Segment]) -> bytes:
    """The embedded ICC profile, put together from its numbered parts; empty if there is none."""
    mark = b"ICC_PROFILE\x00"
    parts = [
        (data[segment.start + len(mark)], data[segment.start + len(mark) + 2 : segment.end])
        for segment in found
        if segment.marker == _APP2
        and data.startswith(mark, segment.start)
        and segment.end - segment.start > 14
    ]
    return b"".join(part for _, part in sorted(parts))
