"""JPEG, decoded by libjpeg-turbo, whose warnings count as errors."""

import numpy as np
import simplejpeg

from hrformer.images.colour import rgb_from_inks
from hrformer.images.errors import BrokenImage, ImageTooLarge, UnsupportedFormat
from hrformer.images.formats.jpeg_segments import (
    APP0,
    APP14,
    Frame,
    Segment,
    colour_profile,
    frame_header,
    orientation,
    segments,
)
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels

_PROGRESSIVE = (2, 10)
_DECODED_FRAMES = (0, 1, 2, 9, 10)
_MAX_SIDE_PX = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_USUAL_SCANS, _MAX_SCANS = 20, 100  # encoders write about ten
_MAX_SCANNED_PIXELS = 1_200_000_000  # each scan may be a pass over the whole picture, for next to no bytes


def layout(data: bytes) -> Layout:
    """Size and EXIF orientation of a JPEG.

    raises: BrokenImage; UnsupportedFormat for 12-bit, lossless and hierarchical JPEG; ImageTooLarge past the
        longest side libjpeg takes.
    """
    found = segments(data)
    frame = frame_header(data, found)
    if frame.kind not in _DECODED_FRAMES or frame.bits != 8 or frame.components not in (1, 3, 4):
        raise UnsupportedFormat(
            f"a JPEG of {frame.bits} bits, {frame.components} components, type {frame.kind}, is not read; "
            "expected baseline or progressive, 8 bits, 1, 3 or 4 components; save the picture anew"
        )
    if min(frame.width, frame.height) == 0:
        raise broken_header("JPEG", f"its size is {frame.width}x{frame.height} px")
    if max(frame.width, frame.height) > _MAX_SIDE_PX:
        raise ImageTooLarge(
            f"the picture is {frame.width}x{frame.height} px; expected sides of at most {_MAX_SIDE_PX} px; "
            "scale it down"
        )
    return Layout(frame.width, frame.height, orientation(data, found))


def pixels(data: bytes, shrink: int) -> np.ndarray:
    """The stored picture in RGB, `(height / shrink, width / shrink, 3)` uint8, sides rounded up.

    shrink: 1, 2, 4 or 8.
    raises: BrokenImage at the least warning of libjpeg-turbo: a picture half grey is no picture.
    """
    found = segments(data)
    space = "CMYK" if frame_header(data, found).components == 4 else "RGB"
    try:
        stored = _decoded(data, found, space, shrink)
    except BrokenImage:
        if not _has_odd_wrapping(data, found):
            raise
        stored = decoded(bare(data, _colour_marks(data, found)), space, shrink)
    if space == "RGB":
        return stored
    # Adobe writes 255 less the ink, and everybody follows.
    return rgb_from_inks(np.subtract(255, stored, out=stored), colour_profile(data, found))


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
    return _decoded(data, segments(data), space, shrink)


def _decoded(data: bytes, found: list[Segment], space: str, shrink: int) -> np.ndarray:
    frame = frame_header(data, found)
    _check_scans(data, frame, found[-1].end)
    smallest = {"min_height": -(-frame.height // shrink), "min_width": -(-frame.width // shrink)}
    try:
        stored: np.ndarray = simplejpeg.decode_jpeg(
            data, space, strict=True, **(smallest if shrink > 1 else {})
        )
    except ValueError:
        raise broken_pixels("JPEG") from None
    return stored


def bare(data: bytes, head: bytes) -> bytes:
    """The JPEG without application data, comments, padding and what follows its end, `head` put at the front.

    Cameras pad the last scan with zeros, and odd metadata makes libjpeg warn as corrupt pixels do.
    """
    found = segments(data)
    tables = [data[segment.start - 4 : segment.end] for segment in found if segment.marker < APP0]
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
        if segment.marker == APP0 and data.startswith(b"JFIF\x00", segment.start):
            marks = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        if (
            segment.marker == APP14
            and data.startswith(b"Adobe", segment.start)
            and segment.end - segment.start >= 12
        ):
            transform = data[segment.start + 11]
            return marks + adobe(transform) if transform <= 2 else marks
    return marks


def _check_scans(data: bytes, frame: Frame, start: int) -> None:
    if frame.kind not in _PROGRESSIVE:
        return
    end = data.find(b"\xff\xd9", start)
    scans = 1 + data.count(b"\xff\xda", start, end if end >= 0 else len(data))
    most = min(_MAX_SCANS, max(_USUAL_SCANS, _MAX_SCANNED_PIXELS // (frame.width * frame.height)))
    if scans > most:
        raise BrokenImage(
            f"the progressive JPEG holds {scans} scans; expected at most {most} for its "
            f"{frame.width}x{frame.height} px, encoders write about ten; save the picture anew"
        )
