"""Crops that are not turned, as those that are served: plain numbers for each, and points back from them.

What `boxes.centre_scale` and `crop.crop_matrices` say of a batch that may be turned, on any device. A request
has one person or a few, and each tensor operation costs it more than all the arithmetic.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hrformer.geometry.boxes import PADDING

FloatArray = npt.NDArray[np.float32]

_LEAST_PX = 1e-3  # a box whose sides vanish in rounding still has a crop


class Upright(NamedTuple):
    """Takes x and y in image pixels to `zoom_x * x + shift_x` and `zoom_y * y + shift_y` in crop pixels."""

    zoom_x: float
    shift_x: float
    zoom_y: float
    shift_y: float

    @property
    def matrix(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """The same as the rows of a `(2, 3)` matrix."""
        return (self.zoom_x, 0.0, self.shift_x), (0.0, self.zoom_y, self.shift_y)


def extent_of(
    wide: float, high: float, size: tuple[int, int], padding: float = PADDING
) -> tuple[float, float]:
    """Width and height, in image pixels, of the crop of a box so wide and so high. size: (height, width)."""
    aspect, wide, high = size[1] / size[0], max(wide, _LEAST_PX), max(high, _LEAST_PX)
    return max(wide, high * aspect) * padding, max(high, wide / aspect) * padding


def upright_crop(
    box: Sequence[float], size: tuple[int, int], padding: float = PADDING, *, udp: bool = False
) -> Upright:
    """The crop around a box x, y, width, height of positive area; `udp` as in `crop_matrices`."""
    x, y, wide, high = box
    height, width = size
    shown_x, shown_y = extent_of(wide, high, size, padding)
    if udp:
        zoom_x, zoom_y, middle_x, middle_y = (
            (width - 1) / shown_x,
            (height - 1) / shown_y,
            (width - 1) / 2,
            (height - 1) / 2,
        )
    else:
        zoom_x = zoom_y = width / shown_x
        middle_x, middle_y = width / 2, height / 2
    return Upright(zoom_x, middle_x - zoom_x * (x + wide / 2), zoom_y, middle_y - zoom_y * (y + high / 2))


def reduced_box(box: Sequence[float], shrink: int) -> tuple[float, float, float, float]:
    """A box of a picture in the same picture, reduced. Centres of pixels are integers: halves are off."""
    x, y, wide, high = box
    return (x + 0.5) / shrink - 0.5, (y + 0.5) / shrink - 0.5, wide / shrink, high / shrink


def of_full_picture(crop: Upright, shrink: int) -> Upright:
    """The crop of a reduced picture, from the pixels of the full one."""
    off = 0.5 / shrink - 0.5
    return Upright(
        crop.zoom_x / shrink,
        crop.shift_x + crop.zoom_x * off,
        crop.zoom_y / shrink,
        crop.shift_y + crop.zoom_y * off,
    )


def points_in_image(points: FloatArray, matrices: FloatArray) -> FloatArray:
    """Points `(n, k, 2)` or, with a score that is kept, `(n, k, 3)` of crops, in image pixels.

    matrices: `(n, 2, 3)` of upright crops.
    """
    moved = points.copy()
    places = moved[..., :2]
    places -= matrices[:, None, :, 2]
    places /= matrices.diagonal(axis1=1, axis2=2)[:, None]
    return moved
