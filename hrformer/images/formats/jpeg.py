"""JPEG: the markers before the first scan, and decoding by libjpeg-turbo."""

from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from hrformer.images import colour
from hrformer.images.errors import BrokenImage, ImageTooLarge, UnsupportedFormat
from hrformer.images.formats.exif import exif_orientation
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels

_SOI, _EOI, _SOS, _DHT, _JPG, _DAC = 0xD8, 0xD9, 0xDA, 0xC4, 0xC8, 0xCC
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_DECODED_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # baseline, extended, progressive; Huffman or arithmetic
_MAX_SIDE_PX = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_MAX_SCANS = 100  # encoders write about ten; each scan may cost a pass over the whole picture


@dataclass(frozen=True)
class Segment:
    """One marker segment before the first scan: its payload is `data[start:end]`."""

    marker: int
    start: int
    end: int


def segments(data: bytes) -> list[Segment]:
    """The marker segments up to and with the first start of scan.

    raises: BrokenImage if the file ends, or the pixels begin, before the frame header came.
    source: ITU-T T.81, annex B.
    """
    found: list[Segment] = []
    at = 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            raise broken_header("JPEG", "the file ends before the first scan")
        marker = data[at + 1]
        if marker in _STANDALONE or marker in (0x00, 0xFF):
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _EOI or end < at + 4 or end > len(data):
            raise broken_header("JPEG", "a segment runs past the end of the file")
        found.append(Segment(marker, at + 4, end))
        if marker == _SOS:
            return found
        at = end


def layout(data: bytes) -> Layout:
    """Size and EXIF orientation of a JPEG.

    raises: BrokenImage, UnsupportedFormat for 12-bit, lossless and hierarchical JPEG, ImageTooLarge past libjpeg's longest side.
    """
    found = segments(data)
    frame = _frame(found)
    if frame.end - frame.start < 6:
        raise broken_header("JPEG", "the frame header is too short")
    bits, height, width, components = _frame_fields(data, frame)
    if frame.marker not in _DECODED_FRAMES or bits != 8 or components not in (1, 3, 4):
        raise UnsupportedFormat(
            f"this kind of JPEG is not read ({bits} bits, {components} components, process {frame.marker - 0xC0}); "
            "expected a baseline or progressive JPEG of 8 bits; save the picture as such"
        )
    if min(width, height) == 0:
        raise broken_header("JPEG", f"its size is {width}x{height} px")
    if max(width, height) > _MAX_SIDE_PX:
        raise ImageTooLarge(
            f"the picture is {width}x{height} px; a JPEG may have sides of at most {_MAX_SIDE_PX} px; scale it down"
        )
    return Layout(width, height, _orientation(data, found))


def _frame(found: list[Segment]) -> Segment:
    for segment in found:
        if segment.marker in _FRAMES:
            return segment
    raise broken_header("JPEG", "no frame header comes before the first scan")


def _frame_fields(data: bytes, frame: Segment) -> tuple[int, int, int, int]:
    """Bits per sample, height, width, number of components."""
    at = frame.start
    height, width = int.from_bytes(data[at + 1 : at + 3], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
    return data[at], height, width, data[at + 5]


def _orientation(data: bytes, found: list[Segment]) -> int:
    for segment in found:
        if segment.marker == _APP1 and data.startswith(b"Exif\x00\x00", segment.start):
            return exif_orientation(data[segment.start : segment.end])
    return 1


def pixels(data: bytes, shrink: int) -> np.ndarray:
    """The stored picture in RGB, `(height / shrink, width / shrink, 3)` uint8, sides rounded up.

    shrink: 1, 2, 4 or 8.
    raises: BrokenImage at the least warning of libjpeg-turbo: a picture half grey is no picture.
    """
    found = segments(data)
    frame = _frame(found)
    _, height, width, components = _frame_fields(data, frame)
    _check_scans(data, frame, found[-1].end)
    space = "CMYK" if components == 4 else "RGB"
    try:
        decoded = _decode(data, space, height, width, shrink)
    except ValueError:
        raise broken_pixels("JPEG") from None
    if components != 4:
        return decoded
    inks = Image.fromarray(np.subtract(255, decoded, out=decoded), "CMYK")  # Adobe's JPEGs hold 255 - ink
    return colour.rgb_from_cmyk(inks, profile(data, found))


def _decode(data: bytes, space: str, height: int, width: int, shrink: int) -> np.ndarray:
    smallest = {"min_height": -(-height // shrink), "min_width": -(-width // shrink)} if shrink > 1 else {}
    decoded: np.ndarray = simplejpeg.decode_jpeg(data, space, strict=True, **smallest)
    return decoded


def _check_scans(data: bytes, frame: Segment, start: int) -> None:
    scans = 1 + data.count(b"\xff\xda", start) if frame.marker in (0xC2, 0xCA) else 1
    if scans > _MAX_SCANS:
        raise BrokenImage(
            f"the progressive JPEG holds {scans} scans; expected at most {_MAX_SCANS}, encoders write about ten; "
            "save the picture anew"
        )


def profile(data: bytes, found: list[Segment]) -> bytes:
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
