"""From boxes to crops and back: affine matrices, bilinear warping, points returned to the image.

A matrix is `(2, 3)` and takes `[x, y, 1]` in image pixels to crop pixels. Pixel centres lie at integers.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from hrformer.geometry.boxes import PADDING, Boxes
from hrformer.geometry.upright import Upright, of_full_picture, reduced_box, upright_crop

Size = tuple[int, int]  # (height, width)
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def crop_matrices(
    centre: Tensor, extent: Tensor, rotation_deg: Tensor, size: Size, *, udp: bool = False
) -> Tensor:
    """Matrices `(n, 2, 3)`, image to crop, of crops about centres `(n, 2)`, extents `(n, 2)` in image pixels.

    rotation_deg: `(n,)`. Positive turns the content counter-clockwise on the screen, but clockwise with
                  `udp`: the published code has it so, and so have the networks trained with it.
    plain:        the centre goes to (width / 2, height / 2); both axes scale by the width's ratio.
    udp:          centre ± extent / 2 go to pixels 0 and size - 1, each axis by its own ratio
                  (arXiv:1911.07524).
    """
    height, width = size
    angle = torch.deg2rad(rotation_deg.to(centre.dtype))
    cos, sin = angle.cos(), angle.sin()
    if udp:
        target = centre.new_tensor([(width - 1) / 2, (height - 1) / 2])
        ratio = centre.new_tensor([width - 1, height - 1]) / extent
        rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], dim=-2)
    else:
        target = centre.new_tensor([width / 2, height / 2])
        ratio = (width / extent[:, :1]).expand(-1, 2)
        rotation = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], dim=-2)
    linear = ratio[:, :, None] * rotation
    return torch.cat([linear, target[None, :, None] - linear @ centre[:, :, None]], dim=-1)


def crop_boxes(
    image: Tensor, boxes: Boxes, size: Size, *, padding: float = PADDING, udp: bool = False, shrink: int = 1
) -> tuple[Tensor, Tensor]:
    """Crops `(n, 3, height, width)` uint8 of a picture around boxes, and their matrices `(n, 2, 3)`.

    image: `(3, H, W)` uint8 on the CPU, the picture, its sides reduced by `shrink`. boxes: x, y, width and
    height in pixels of the full picture, of positive area. The matrices are from those pixels too.
    What lies outside the image is black. Where a crop is at most half as large as its piece of the image,
    that piece is first averaged over blocks of 2, 4, 8… pixels, so that fine texture does not alias.
    """
    # Arrays: each operation of a tensor lets go of Python's lock, and a decoder waits to have it back.
    pixels, crops = image.numpy(), np.zeros((len(boxes), 3, *size), np.uint8)
    matrices = []
    for crop, box in zip(crops, boxes, strict=True):
        seen = upright_crop(reduced_box(box, shrink), size, padding, udp=udp)
        _fill(crop, pixels, seen)
        matrices.append(of_full_picture(seen, shrink).matrix)
    return torch.from_numpy(crops), torch.from_numpy(np.array(matrices, np.float32).reshape(-1, 2, 3))


def _fill(crop: Bytes, image: Bytes, seen: Upright) -> None:
    """Puts what the crop sees of the image into it."""
    height, width = crop.shape[1:]
    block = _block(min((width - 1) / width / seen.zoom_x, (height - 1) / height / seen.zoom_y))
    across = _overlap(width, seen.zoom_x, seen.shift_x, image.shape[2], block)
    down = _overlap(height, seen.zoom_y, seen.shift_y, image.shape[1], block)
    if across is not None and down is not None:
        piece = _average(image[:, down.pixels, across.pixels], block)
        crop[:, down.shown, across.shown] = _sampled(piece, across.places(), down.places())


class _Overlap(NamedTuple):
    """Where a crop and the image meet, along one axis."""

    shown: slice  # pixels of the crop; the others are black
    pixels: slice  # of the image, that these are sampled from, in whole blocks
    first: float  # where the first of them lies, in blocks from the first of those
    step: float  # from one to the next

    def places(self) -> Floats:
        """Where each of them lies."""
        return self.first + self.step * np.arange(self.shown.stop - self.shown.start)


def _overlap(size: int, zoom: float, shift: float, side: int, block: int) -> _Overlap | None:
    """Of a crop of so many pixels that takes `x` of the image to `zoom * x + shift`; None if there is none.

    What bilinear sampling mixes with the black outside belongs to it, and the last block may reach outside.
    """
    start = max(math.ceil(shift - zoom * block), 0)
    stop = min(math.floor(shift + zoom * (side + 2 * block)) + 1, size)
    first, last = (start - shift) / zoom, (stop - 1 - shift) / zoom
    pixels = _span(first, last, block, side)
    if start >= stop or pixels.start >= pixels.stop:
        return None
    middle = pixels.start + (block - 1) / 2
    return _Overlap(slice(start, stop), pixels, (first - middle) / block, 1 / zoom / block)


def _sampled(piece: Tensor, x: Floats, y: Floats) -> npt.NDArray[np.float32]:
    """The `(3, H, W)` float32 piece at the rows `y` and columns `x`, to be cut to bytes; black outside."""
    grid = np.empty((1, len(y), len(x), 2), np.float32)
    grid[..., 0] = (2 * x + 1) / piece.shape[2] - 1
    grid[..., 1] = ((2 * y + 1) / piece.shape[1] - 1)[:, None]
    places = torch.from_numpy(grid)
    values = F.grid_sample(piece[None], places, mode="bilinear", padding_mode="zeros", align_corners=False)
    sampled: npt.NDArray[np.float32] = values.numpy()[0]
    sampled += 0.5
    return sampled


def warp(images: Tensor, matrices: Tensor, size: Size, *, nearest: bool = False) -> Tensor:
    """Crops `(n, channels, height, width)` of `(n, channels, H, W)` float images, zeros outside.

    matrices: `(n, 2, 3)`, image to crop. nearest: take the nearest pixel, as labels need it; else bilinear.
    """
    height, width = size
    x = torch.arange(width, device=images.device, dtype=images.dtype)
    y = torch.arange(height, device=images.device, dtype=images.dtype)
    inverse = invert(matrices).to(images.dtype)[:, :, None, None]  # (n, 2, 1, 1, 3)
    source = inverse[..., 0] * x + inverse[..., 1] * y[:, None] + inverse[..., 2]  # (n, 2, height, width)
    sides = source.new_tensor([images.shape[3], images.shape[2]])
    grid = (source.permute(0, 2, 3, 1) * 2 + 1) / sides - 1
    mode = "nearest" if nearest else "bilinear"
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def invert(matrices: Tensor) -> Tensor:
    """The `(..., 2, 3)` matrices of the opposite direction."""
    a, b, c, d = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 0], matrices[..., 1, 1]
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], dim=-2)
    linear = adjugate / (a * d - b * c)[..., None, None]
    return torch.cat([linear, -linear @ matrices[..., 2:]], dim=-1)


def transform(points: Tensor, matrices: Tensor) -> Tensor:
    """Points `(n, k, 2)` or, with a score that is kept, `(n, k, 3)`, each row through its matrix."""
    moved = points[..., :2] @ matrices[..., :2].mT + matrices[..., 2].unsqueeze(-2)
    return torch.cat([moved, points[..., 2:]], dim=-1)


def to_image(points: Tensor, matrices: Tensor) -> Tensor:
    """Points `(n, k, 2)` or `(n, k, 3)` in crop pixels, in image pixels; matrices are those of the crops."""
    return transform(points, invert(matrices))


def _block(shrink: float) -> int:
    return 1 << min(7, math.floor(math.log2(max(shrink, 1))))


def _span(start: float, stop: float, block: int, side: int) -> slice:
    """The pixels that bilinear sampling between two places touches, out to whole blocks, within the image."""
    first = (math.floor(start) - block) // block * block
    last = -(-(math.ceil(stop) + block + 1) // block) * block
    return slice(min(max(first, 0), side), max(min(last, side), 0))


def _average(pixels: Bytes, block: int) -> Tensor:
    """The `(3, H, W)` uint8 pixels averaged over blocks, float32; its last lines are repeated to whole ones.

    Sums of 2^7 bytes fit 16 bits. A twelfth of the time of pooling in float, with the same result.
    """
    if block == 1:
        return torch.from_numpy(pixels.astype(np.float32))
    piece = _whole_blocks(_whole_blocks(torch.from_numpy(pixels), block, 1), block, 2)
    channels, height, width = piece.shape
    lines = piece.reshape(channels, height // block, block, width)
    rows = lines[:, :, 0].to(torch.int16)
    for index in range(1, block):
        rows += lines[:, :, index]
    lines = rows.reshape(channels, height // block, width // block, block)
    total = lines[..., 0].float()
    for index in range(1, block):
        total += lines[..., index]
    return total / block**2


def _whole_blocks(piece: Tensor, block: int, axis: int) -> Tensor:
    missing = -piece.shape[axis] % block
    last = piece.narrow(axis, piece.shape[axis] - 1, 1)
    return torch.cat([piece, *[last] * missing], dim=axis) if missing else piece
