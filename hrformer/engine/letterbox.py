"""A whole picture in the middle of a canvas of one of the sizes that a network is run at."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrformer.geometry.crop import crop_boxes
from hrformer.images.decode import Picture

Size = tuple[int, int]  # (height, width)
MAX_CANVASES = 8  # in one run of a network


@dataclass(frozen=True)
class Canvas:
    """A picture letterboxed into one of the sizes that the network is run at."""

    pixels: Tensor  # (3, height, width) uint8, black where the picture is not
    matrix: Tensor  # (2, 3), full upright picture to canvas, px
    width: int  # px, of the full upright picture
    height: int


def size_for(sizes: Sequence[Size], width: int, height: int) -> Size:
    """The size, (height, width), in which a picture of this shape is shown the largest."""
    return max(sizes, key=lambda size: (min(size[0] / height, size[1] / width), -size[0] * size[1]))


def reduction(size: Size, width: int, height: int) -> int:
    """The largest reduction, 1 to 8, at which the picture still has the pixels that the canvas shows."""
    ratio = max(height / size[0], width / size[1])
    return 1 << min(3, math.floor(math.log2(max(ratio, 1))))


def letterbox(picture: Picture, size: Size) -> Canvas:
    """The picture in the middle of its canvas, as large as fits."""
    height, width = picture.pixels.shape[:2]
    image, shrink = torch.from_numpy(picture.pixels).permute(2, 0, 1), picture.shrink
    # From the edge of the first pixel to that of the last: pixel centres lie at integers.
    whole = (-0.5, -0.5, width * shrink, height * shrink)
    pixels, matrices = crop_boxes(image, [whole], size, padding=1.0, udp=True, shrink=shrink)
    return Canvas(pixels[0], matrices[0], picture.width, picture.height)


def batches(canvases: Sequence[Canvas]) -> Iterator[list[int]]:
    """Indices of canvases that are run together: of one size, and not too many."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, canvas in enumerate(canvases):
        by_size.setdefault(tuple(canvas.pixels.shape), []).append(index)
    for rows in by_size.values():
        yield from (rows[start : start + MAX_CANVASES] for start in range(0, len(rows), MAX_CANVASES))
