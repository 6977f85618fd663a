"""WebP: the chunks of its RIFF container."""

import struct

import numpy as np

from hrformer.images.colour import rgb_pixels
from hrformer.images.formats.exif import exif_orientation
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels
from hrformer.images.formats.pillow import load

_MAX_CHUNKS = 10_000


def layout(data: bytes) -> Layout:
    """Size of the canvas and EXIF orientation.

    raises: BrokenImage.
    source: RFC 9649, sections 2.5 to 2.7.
    """
    try:
        width, height = _size(data)
    except struct.error:
        raise broken_header("WebP", "the file ends within it") from None
    return Layout(width, height, exif_orientation(_exif(data)))


def _size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        (width_low, width_high, height_low, height_high) = struct.unpack_from("<HBHB", data, 24)
        return (width_high << 16 | width_low) + 1, (height_high << 16 | height_low) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        if width & 0x3FFF and height & 0x3FFF:
            return width & 0x3FFF, height & 0x3FFF
    raise broken_header("WebP", "the first chunk holds no size")


def _exif(data: bytes) -> bytes:
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            break
        (size,) = struct.unpack_from("<I", data, at + 4)
        if data[at : at + 4] == b"EXIF":
            return data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return b""


def pixels(data: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB over white, the first frame of an animation.

    raises: BrokenImage.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise broken_pixels("WebP")
    return rgb_pixels(load("WEBP", data[:end]))
