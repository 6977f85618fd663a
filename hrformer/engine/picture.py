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


def as_picture(image: ImageLike, shrink: Callable[[int, int], int], limits: Limits) -> Picture:
    """The picture of a path, the bytes of a file, a PIL image or a uint8 array `(height, width, 3)`.

    shrink: from width and height of the upright image, the largest reduction at which it may be decoded;
        asked before anything is, whatever the image comes as, so that it may also refuse.
    raises: ImageError kin for bytes that are no picture, OSError for a path that cannot be read, ValueError
        for an array of another type or shape.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(
                f"the image is {image.dtype} of shape {image.shape}; expected uint8 (height, width, 3)"
            )
        # Writable too, or torch warns of it: a PIL image seen as an array is not.
        return _whole(np.require(image, requirements=("C", "W")), shrink)
    if isinstance(image, Image.Image):
        return _whole(rgb_pixels(ImageOps.exif_transpose(image)), shrink)
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    header = read_header(data, limits)
    return decode(data, limits, shrink=shrink(header.width, header.height))


def _whole(pixels: Pixels, shrink: Callable[[int, int], int]) -> Picture:
    height, width = pixels.shape[:2]
    shrink(width, height)
    return Picture(pixels, width=width, height=height)
