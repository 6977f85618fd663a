"""BMP: the two headers, run lengths, and the rest by Pillow."""

import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hrformer.images.colour import rgb_from_indices, rgb_pixels
from hrformer.images.errors import UnsupportedFormat
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels
from hrformer.images.formats.pillow import load

_PLAIN, _RLE8, _RLE4, _BITFIELDS = 0, 1, 2, 3
_DEPTHS = {_PLAIN: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _BITFIELDS: (16, 32)}
_MAX_RUN_BYTES = 2 * 1024 * 1024  # runs are read one by one: about a second


@dataclass(frozen=True)
class Bitmap:
    """What the headers say."""

    width: int
    height: int
    top_down: bool
    depth: int
    compression: int
    palette: bytes
    """4 bytes each, or 3 in the oldest header: blue, green, red"""
    entry_bytes: int
    start: int
    """where the pixels begin"""


def layout(data: bytes) -> Layout:
    """Size of a BMP.

    raises: BrokenImage; UnsupportedFormat for depths and compressions that are not read.
    """
    bitmap = _read(data)
    return Layout(bitmap.width, bitmap.height)


def pixels(data: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB over white.

    raises: BrokenImage, UnsupportedFormat.
    """
    bitmap = _read(data)
    if bitmap.compression in (_RLE8, _RLE4):
        return rgb_from_indices(Image.fromarray(_run_lengths(data, bitmap)), _table(bitmap))
    refused = UnsupportedFormat(
        f"a BMP of {bitmap.depth} bits with these colour masks is not read; save the picture as PNG"
    )
    image: Image.Image = load("BMP", data, refused=refused)
    # Many writers leave the alpha of 32-bit bitmaps at zero throughout and mean an opaque picture.
    if image.mode == "RGBA" and not np.asarray(image.getchannel("A")).any():
        image = image.convert("RGB")
    return rgb_pixels(image)


def _read(data: bytes) -> Bitmap:
    try:
        bitmap = _parse(data)
    except struct.error:
        raise broken_header("BMP", "the file ends within it") from None
    if min(bitmap.width, bitmap.height) <= 0:
        raise broken_header("BMP", f"its size is {bitmap.width}x{bitmap.height} px")
    if bitmap.depth not in _DEPTHS.get(bitmap.compression, ()):
        raise UnsupportedFormat(
            f"a BMP of {bitmap.depth} bits with compression {bitmap.compression} is not read; "
            "save the picture as PNG"
        )
    return bitmap


def _parse(data: bytes) -> Bitmap:
    start, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression, colours, entry_bytes = _PLAIN, 0, 3
    else:
        width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
        (colours,) = struct.unpack_from("<I", data, 46) if header_bytes >= 40 else (0,)
        entry_bytes = 4
    table = 14 + header_bytes
    palette = data[table : table + entry_bytes * min(colours or 256, 256)]
    return Bitmap(width, abs(height), height < 0, depth, compression, palette, entry_bytes, start)


def _table(bitmap: Bitmap) -> np.ndarray:
    """`(256, 3)` uint8 RGB: the colour of each index."""
    table = np.zeros((256, 3), np.uint8)
    count = len(bitmap.palette) // bitmap.entry_bytes
    entries = np.frombuffer(bitmap.palette[: count * bitmap.entry_bytes], np.uint8).reshape(count, -1)
    table[:count] = entries[:, 2::-1]
    return table


def _run_lengths(data: bytes, bitmap: Bitmap) -> np.ndarray:
    """`(height, width)` uint8 indices, upright. Pillow's own reader pads rows byte by byte, for seconds."""
    body = data[bitmap.start :]
    if len(body) > _MAX_RUN_BYTES:
        raise UnsupportedFormat(
            f"a run-length BMP of {len(body)} bytes is not read; expected at most {_MAX_RUN_BYTES}; "
            "save the picture as PNG"
        )
    try:
        indices = _unrolled(body, bitmap)
    except IndexError:
        raise broken_pixels("BMP") from None
    return np.frombuffer(indices, np.uint8).reshape(bitmap.height, bitmap.width)[::-1]


def _unrolled(body: bytes, bitmap: Bitmap) -> bytearray:
    """The indices, bottom row first.

    raises: BrokenImage, or IndexError where the runs stop before the last row.
    source: Microsoft, "Bitmap Compression". After a zero: 0 ends the line, 1 the bitmap, 2 moves.
    """
    width, height = bitmap.width, bitmap.height
    indices = bytearray(width * height)
    x = row = at = 0
    while row < height:
        count, value = body[at], body[at + 1]
        at += 2
        if count or value > 2:
            run, at = _run(body, at, count, value, four_bits=bitmap.compression == _RLE4)
            run = run[: max(0, width - x)]
            indices[row * width + x : row * width + x + len(run)] = run
            x += len(run)
        elif value == 0:
            x, row = 0, row + 1
        elif value == 2:
            x, row, at = x + body[at], row + body[at + 1], at + 2
        elif row < height - 1:
            raise broken_pixels("BMP")
        else:
            break
    return indices


def _run(body: bytes, at: int, count: int, value: int, *, four_bits: bool) -> tuple[bytes, int]:
    """The indices of one run or one stretch of literals, and where the next begins."""
    if count:
        return (
            bytes((value >> 4, value & 15)) * ((count + 1) // 2) if four_bits else bytes((value,)) * count
        )[:count], at
    length = (value + 1) // 2 if four_bits else value
    literals = body[at : at + length]
    if len(literals) < length:
        raise broken_pixels("BMP")
    if four_bits:
        literals = bytes(half for both in literals for half in (both >> 4, both & 15))
    return literals[:value], at + length + length % 2
