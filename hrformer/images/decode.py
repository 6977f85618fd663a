"""Bytes of a file → upright 8-bit RGB, the same for service, command line and training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from hrformer.images.colour import rgb_pixels
from hrformer.images.formats import bmp, gif, jpeg, pillow, png, tiff, webp
from hrformer.images.header import FORMATS, Header, Limits, read_header

__all__ = ["FORMATS", "Header", "Limits", "Picture", "decode", "read_header"]


@dataclass(frozen=True)
class Picture:
    """A decoded picture, standing upright."""

    pixels: np.ndarray
    """`(rows, columns, 3)` uint8 RGB, contiguous; height and width divided by `shrink` and rounded up"""
    width: int
    """px, of the full upright picture"""
    height: int
    """px, of the full upright picture"""

    @property
    def shrink(self) -> int:
        """1, 2, 4 or 8: pixel `i` covers the full picture's from `shrink * i` to `shrink * (i + 1) - 1`."""
        rows, columns = self.pixels.shape[:2]
        return next(
            (s for s in (1, 2, 4, 8) if (-(-self.height // s), -(-self.width // s)) == (rows, columns)),
            1,
        )


def decode(
    data: bytes, limits: Limits = Limits(), *, shrink: int = 1, header: Header | None = None
) -> Picture:
    """The picture, turned upright, transparency over white, first frame or page.

    shrink: 1, 2, 4 or 8, the largest reduction allowed. JPEG is decoded at that scale, which saves most of
        the time; where a mirrored side is no multiple of it, at the next smaller one that is.
        Other formats ignore it.
    header: what `read_header` says of it, where that was asked already.
    raises: ImageError kin for every fault of the bytes; ValueError for another `shrink`.
    """
    if shrink not in (1, 2, 4, 8):
        raise ValueError(f"shrink is {shrink}; expected 1, 2, 4 or 8")
    header = read_header(data, limits) if header is None else header
    if header.format == "JPEG":
        stored = jpeg.pixels(data, _aligned(shrink, header))
    else:
        stored = _PIXELS[header.format](data)
    return Picture(_upright(stored, header.orientation), header.width, header.height)


def _by_pillow(name: str, data: bytes) -> np.ndarray:
    return rgb_pixels(pillow.load(name, data))


_PIXELS: dict[str, Callable[[bytes], np.ndarray]] = {
    "PNG": png.pixels,
    "WEBP": webp.pixels,
    "BMP": bmp.pixels,
    "GIF": gif.pixels,
    "TIFF": tiff.pixels,
    "AVIF": partial(_by_pillow, "AVIF"),
    "HEIF": partial(_by_pillow, "HEIF"),
}
_ROWS_MIRRORED = (3, 4, 7, 8)
_COLUMNS_MIRRORED = (2, 3, 6, 7)


def _aligned(shrink: int, header: Header) -> int:
    """The largest reduction up to `shrink` after which a mirrored picture still begins with a whole pixel."""
    height = header.height if header.orientation in _ROWS_MIRRORED else 0
    width = header.width if header.orientation in _COLUMNS_MIRRORED else 0
    while height % shrink or width % shrink:
        shrink //= 2
    return shrink


def _upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels turned and mirrored as EXIF orientation 1 to 8 asks."""
    turned = stored.swapaxes(0, 1) if orientation >= 5 else stored
    rows = slice(None, None, -1 if orientation in _ROWS_MIRRORED else 1)
    columns = slice(None, None, -1 if orientation in _COLUMNS_MIRRORED else 1)
    return np.ascontiguousarray(turned[rows, columns])
