"""Whatever a caller has for an image → a picture to run a model on."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from hrformer.images.colour import rgb_pixels
from hrformer.images.decode import Limits, Picture, decode, read_header

Pixels: TypeAlias = npt.NDArray[np.uint8]
ImageLike: TypeAlias = str | PathLike[str] | bytes | Image.Image | Pixels


class Source:
    """An image whose size is known, decoded when its pixels are wanted."""

    def __init__(self, width: int, height: int, decode: Callable[[int], Picture], *, reduces: bool) -> None:
        """decode: from the largest reduction allowed; reduces: whether that makes a difference."""
        self.width, self.height = width, height  # px, upright
        self._decode, self._reduces = decode, reduces
        self._last: tuple[int, Picture] | None = None

    def picture(self, shrink: int) -> Picture:
        """The picture, reduced by 1, 2, 4 or 8 at most; as decoded before if that was for the same reduction.

        A finer one that is at hand is not taken in its place: pixels go by the reduction alone, whatever was
        asked for earlier.
        raises: ImageError kin.
        """
        allowed = shrink if self._reduces else 1
        if self._last is None or self._last[0] != allowed:
            self._last = allowed, self._decode(allowed)
        return self._last[1]


def open_image(image: ImageLike, limits: Limits) -> Source:
    """A path, the bytes of a file, a PIL image or a uint8 array `(height, width, 3)`, its size known.

    raises: ImageError kin for bytes that are no picture, OSError for a path that cannot be read, ValueError
        for an array of another type or shape.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(
                f"the image is {image.dtype} of shape {image.shape}; expected uint8 (height, width, 3)"
            )
        # Writable too, or torch warns of it: a PIL image seen as an array is not.
        return _whole(np.require(image, requirements=("C", "W")))
    if isinstance(image, Image.Image):
        return _whole(rgb_pixels(ImageOps.exif_transpose(image)))
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    header = read_header(data, limits)

    def decode_at(shrink: int) -> Picture:
        return decode(data, limits, shrink=shrink, header=header)

    return Source(header.width, header.height, decode_at, reduces=header.format == "JPEG")


def as_picture(image: ImageLike, shrink: Callable[[int, int], int], limits: Limits) -> Picture:
    """The picture of what `open_image` takes.

    shrink: from width and height of the upright image, the largest reduction at which it may be decoded.
    raises: as `open_image`.
    """
    source = open_image(image, limits)
    return source.picture(shrink(source.width, source.height))


def _whole(pixels: Pixels) -> Source:
    height, width = pixels.shape[:2]
    picture = Picture(pixels, width=width, height=height)
    return Source(width, height, lambda _: picture, reduces=False)
