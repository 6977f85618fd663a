"""Arrays → PNG and JPEG files."""

import struct

import numpy as np
import simplejpeg
from isal import isal_zlib

from hrformer.geometry.palettes import Palette
from hrformer.images.colour import strips

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _PALETTE = 2, 3
_FILTER_UP = 2
_LEVEL = 1  # isal's third level takes half as long again for no fewer bytes


def encode_png_palette(class_map: np.ndarray, palette: Palette) -> bytes:
    """A palette PNG whose pixel values are the class indices.

    class_map: `(height, width)` uint8, every value an index into the palette.
    palette: 1 to 256 names with their colours.
    raises: ValueError for another shape, another type or an index without a colour.
    """
    if class_map.ndim != 2 or class_map.dtype != np.uint8 or class_map.size == 0:
        raise ValueError(
            f"the class map is {class_map.dtype} of shape {class_map.shape}; expected uint8 (height, width)"
        )
    if class_map.max() >= len(palette):
        raise ValueError(
            f"the class map holds index {class_map.max()}, the palette {len(palette)} colours; "
            "expected one for each index"
        )
    colours = bytes(value for _, colour in palette for value in colour)
    return _png(class_map[:, :, None], _PALETTE, [_chunk(b"PLTE", colours)])


def encode_png(rgb: np.ndarray) -> bytes:
    """An RGB PNG of `(height, width, 3)` uint8.

    raises: ValueError for another shape or type.
    """
    _check_rgb(rgb)
    return _png(rgb, _RGB, [])


def encode_jpeg(rgb: np.ndarray, quality: int = 90) -> bytes:
    """A baseline JPEG of `(height, width, 3)` uint8, colours at half resolution.

    quality: 1 to 100.
    raises: ValueError for another shape, type or quality.
    """
    _check_rgb(rgb)
    if not 1 <= quality <= 100:
        raise ValueError(f"the JPEG quality is {quality}; expected 1 to 100")
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality, "RGB", "420")
    return encoded


def _check_rgb(rgb: np.ndarray) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        raise ValueError(
            f"the picture is {rgb.dtype} of shape {rgb.shape}; expected uint8 (height, width, 3)"
        )


def _png(samples: np.ndarray, colour_type: int, extra: list[bytes]) -> bytes:
    """Signature and chunks. isal at level 1 takes an eighth of Pillow's time there, for as many bytes."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    parts = [_SIGNATURE, _chunk(b"IHDR", header), *extra]
    deflate = isal_zlib.compressobj(_LEVEL)
    above = np.zeros((1, samples[0].size), np.uint8)
    for rows in strips(height, width):
        strip = samples[rows].reshape(rows.stop - rows.start, -1)
        parts.append(_chunk(b"IDAT", deflate.compress(_filtered(strip, above))))
        above = strip[-1:]
    parts.append(_chunk(b"IDAT", deflate.flush()))
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _filtered(strip: np.ndarray, above: np.ndarray) -> bytes:
    """Each row less the row over it, after a byte that names this filter."""
    filtered = np.empty((strip.shape[0], strip.shape[1] + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    np.subtract(strip[:1], above, out=filtered[:1, 1:])
    np.subtract(strip[1:], strip[:-1], out=filtered[1:, 1:])
    return filtered.tobytes()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", isal_zlib.crc32(body, isal_zlib.crc32(kind)))
    )
