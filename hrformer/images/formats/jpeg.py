"""JPEG: the markers before the first scan, and decoding by libjpeg-turbo."""

from dataclasses import dataclass

import numpy as np
import simplejpeg

from hrformer.images.colour import rgb_from_inks
from hrformer.images.errors import BrokenImage, ImageTooLarge, UnsupportedFormat
from hrformer.images.formats.exif import exif_orientation
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels

_EOI, _SOS, _DHT, _JPG, _DAC = 0xD9, 0xDA, 0xC4, 0xC8, 0xCC
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, _JPG, _DAC}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_PROGRESSIVE = (0xC2, 0xCA)
_DECODED_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # baseline, extended, progressive; Huffman or arithmetic
_MAX_SIDE_PX = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_MAX_STEPS = 10_000  # segments, fill bytes and stray markers; 20 MiB of metadata make 320 segments
_USUAL_SCANS, _MAX_SCANS = 20, 100  # encoders write about ten
_MAX_SCANNED_PIXELS = 1_200_000_000  # each scan may be a pass over the whole picture, for next to no bytes


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
    for _ in range(_MAX_STEPS):
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
    raise broken_header("JPEG", "it has no end")


def layout(data: bytes) -> Layout:
    """Size and EXIF orientation of a JPEG.

    raises: BrokenImage; UnsupportedFormat for 12-bit, lossless and hierarchical JPEG; ImageTooLarge past the
        longest side libjpeg takes.
    """
    found = segments(data)
    frame = _frame(found)
    if frame.end - frame.start < 6:
        raise broken_header("JPEG", "the frame header is too short")
    bits, height, width, components = _frame_fields(data, frame)
    if frame.marker not in _DECODED_FRAMES or bits != 8 or components not in (1, 3, 4):
        raise UnsupportedFormat(
            f"a JPEG of {bits} bits, {components} components, frame type {frame.marker - 0xC0}, is not read; "
            "expected baseline or progressive, 8 bits, 1, 3 or 4 components; save the picture anew"
        )
    if min(width, height) == 0:
        raise broken_header("JPEG", f"its size is {width}x{height} px")
    if max(width, height) > _MAX_SIDE_PX:
        raise ImageTooLarge(
            f"the picture is {width}x{height} px; expected sides of at most {_MAX_SIDE_PX} px; scale it down"
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
    space = "CMYK" if _frame_fields(data, frame)[3] == 4 else "RGB"
    try:
        stored = decoded(data, space, shrink)
    except BrokenImage:
        if not _has_odd_wrapping(data, found):
            raise
        stored = decoded(bare(data, _colour_marks(data, found)), space, shrink)
    if space == "RGB":
        return stored
    # Adobe writes 255 less the ink, and everybody follows.
    return rgb_from_inks(np.subtract(255, stored, out=stored), _profile(data, found))


def _has_odd_wrapping(data: bytes, found: list[Segment]) -> bool:
    """Whether libjpeg may have warned of what no pixel depends on: metadata, or zeros before the end."""
    end = data.find(b"\xff\xd9", found[-1].end)
    if end > 1 and data[end - 1] == 0 and data[end - 2] != 0xFF:
        return True
    try:
        simplejpeg.decode_jpeg_header(data, strict=True)
    except ValueError:
        return True
    return False


def decoded(data: bytes, space: str, shrink: int = 1) -> np.ndarray:
    """`(height, width, 3 or 4)` uint8 in "RGB" or "CMYK" as stored.

    raises: BrokenImage at the least warning.
    """
    found = segments(data)
    frame = _frame(found)
    _check_scans(data, frame, found[-1].end)
    _, height, width, _ = _frame_fields(data, frame)
    smallest = {"min_height": -(-height // shrink), "min_width": -(-width // shrink)} if shrink > 1 else {}
    try:
        stored: np.ndarray = simplejpeg.decode_jpeg(data, space, strict=True, **smallest)
    except ValueError:
        raise broken_pixels("JPEG") from None
    return stored


def bare(data: bytes, head: bytes) -> bytes:
    """The JPEG without application data, comments, padding and what follows its end, `head` put at the front.

    Cameras pad the last scan with zeros, and odd metadata makes libjpeg warn as corrupt pixels do.
    """
    found = segments(data)
    tables = [data[segment.start - 4 : segment.end] for segment in found if segment.marker < _APP0]
    end = data.find(b"\xff\xd9", found[-1].end)
    scans = data[found[-1].end : end].rstrip(b"\0") if end >= 0 else data[found[-1].end :]
    # A scan may end in the byte FF00, whose zero is no padding.
    stuffing = b"\0" if scans.endswith(b"\xff") else b""
    return b"".join([b"\xff\xd8", head, *tables, scans, stuffing, b"\xff\xd9" if end >= 0 else b""])


def adobe(transform: int) -> bytes:
    """The segment that says how the components are to be taken: 0 RGB or CMYK, 1 YCbCr, 2 YCCK."""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def _colour_marks(data: bytes, found: list[Segment]) -> bytes:
    """What of the application data decides on the colour space, in its plain form."""
    marks = b""
    for segment in found:
        if segment.marker == _APP0 and data.startswith(b"JFIF\x00", segment.start):
            marks = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        if (
            segment.marker == _APP14
            and data.startswith(b"Adobe", segment.start)
            and segment.end - segment.start >= 12
        ):
            transform = data[segment.start + 11]
            return marks + adobe(transform) if transform <= 2 else marks
    return marks


def _check_scans(data: bytes, frame: Segment, start: int) -> None:
    if frame.marker not in _PROGRESSIVE:
        return
    _, height, width, _ = _frame_fields(data, frame)
    end = data.find(b"\xff\xd9", start)
    scans = 1 + data.count(b"\xff\xda", start, end if end >= 0 else len(data))
    most = min(_MAX_SCANS, max(_USUAL_SCANS, _MAX_SCANNED_PIXELS // (width * height)))
    if scans > most:
        raise BrokenImage(
            f"the progressive JPEG holds {scans} scans; expected at most {most} for {width}x{height} px, "
            "encoders write about ten; save the picture anew"
        )


def _profile(data: bytes, found: list[Segment]) -> bytes:
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
