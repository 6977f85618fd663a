"""Varied crops out of canvases, as free of aliasing as the crops that are served."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hrformer.geometry.crop import Size, invert, warp


def cut(canvases: Tensor, matrices: Tensor, size: Size) -> Tensor:
    """Crops `(n, 3, height, width)` float32 of canvases `(n, 3, H, W)` uint8.

    matrices: `(n, 2, 3)`, canvas to crop. Where a crop is at most half as large as its piece of the canvas,
    the canvas is first averaged over blocks of 2, 4, 8… pixels, as `crop_boxes` does it.
    """
    blocks = block_sides(matrices)
    crops = torch.empty(len(canvases), canvases.shape[1], *size, device=canvases.device)
    for block in sorted(set(blocks.tolist())):
        rows = (blocks == block).nonzero()[:, 0]
        crops[rows] = warp(_averaged(canvases[rows].float(), block), _in_blocks(matrices[rows], block), size)
    return crops


def block_sides(matrices: Tensor) -> Tensor:
    """The largest power of two, `(n,)`, by which both axes of a crop may be reduced before it is cut."""
    steps = invert(matrices)[:, :, :2].norm(dim=1).amin(dim=1)  # px of the canvas for a px of the crop
    blocks: Tensor = steps.clamp(1, 128).log2().floor().exp2().int()
    return blocks


def _averaged(canvases: Tensor, block: int) -> Tensor:
    """Means over blocks; the last lines are repeated where they fill no whole block."""
    if block == 1:
        return canvases
    right, bottom = -canvases.shape[3] % block, -canvases.shape[2] % block
    return F.avg_pool2d(F.pad(canvases, (0, right, 0, bottom), mode="replicate"), block)


def _in_blocks(matrices: Tensor, block: int) -> Tensor:
    """The same crops, of canvases averaged over blocks; pixel 0 is then the centre of the first block."""
    centre = matrices.new_full((2, 1), (block - 1) / 2)
    shift = matrices[..., :2] @ centre + matrices[..., 2:]
    return torch.cat([matrices[..., :2] * block, shift], dim=-1)
