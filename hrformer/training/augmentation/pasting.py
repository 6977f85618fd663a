"""People pasted into other photographs' crops; batched, on any device.

As in Simple Copy-Paste (arXiv:2012.07177), but without outlines, which most sets of boxes lack: what is
pasted is the rectangle of a box whose person stands alone there, with a soft edge around it.
"""

import torch
from torch import Tensor

from hrformer.geometry.crop import transform
from hrformer.training.augmentation.geometric import Draw
from hrformer.training.cache import CROWD, NOBODY, SOMEBODY

Size = tuple[int, int]  # (height, width)

TOGETHER = 1024  # photographs whose boxes are compared with each other in one step
SMALLEST_PX = 24.0  # long side on the canvas from which on somebody is worth pasting
ALONE = 0.1  # share of such a box that others may overlap
SHORTEST, LONGEST = 0.15, 0.8  # long side of who is pasted, by the shorter side of the crop; never enlarged
EDGE = 0.1  # width of the soft edge around the box, by the shorter side of the box
UNSURE, HIDDEN = 0.4, 0.8  # covered shares of a box from which on nobody is asked for it, and it is gone


def worth_pasting(boxes: Tensor, kinds: Tensor) -> Tensor:
    """Photograph and row `(people, 2)` int64 of the people who are large enough and stand alone in their box.

    boxes: `(n, k, 4)` left, top, right, bottom in px; kinds: `(n, k)`.
    """
    parts = zip(torch.split(boxes, TOGETHER), torch.split(kinds, TOGETHER), strict=True)
    return torch.cat([_stand_alone(*part) for part in parts]).nonzero()


def _stand_alone(boxes: Tensor, kinds: Tensor) -> Tensor:
    """Which rows are such people, `(n, k)` bool."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    sides = boxes[..., 2:] - boxes[..., :2]
    overlap = (high - low).clamp(min=0).prod(dim=3) / sides.prod(dim=2).clamp(min=1e-6)[:, :, None]
    itself = torch.eye(kinds.shape[1], dtype=torch.bool, device=kinds.device)
    overlap = overlap.masked_fill(itself | (kinds == NOBODY)[:, None], 0)
    large = sides.amax(dim=2) >= SMALLEST_PX
    return (kinds == SOMEBODY) & large & (overlap.amax(dim=2) <= ALONE)


def paste_matrices(boxes: Tensor, size: Size, flip: float, draw: Draw) -> Tensor:
    """Matrices `(n, 2, 3)`, canvas to crop, that put each box `(n, 4)` of a canvas somewhere into its crop.

    size: (height, width) of the crops. flip: probability that a person is mirrored.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    wanted = min(size) * SHORTEST * (LONGEST / SHORTEST) ** draw.uniform()
    scale = (wanted / sides.amax(dim=1)).clamp(max=1)
    room = boxes.new_tensor([size[1], size[0]]) - sides * scale[:, None]
    where = torch.stack([draw.uniform(), draw.uniform()], dim=1)
    centre = room * where + sides * scale[:, None] / 2 - 0.5
    mirrored = 1 - 2 * draw.chance(flip).to(boxes.dtype)
    zoom = torch.stack([scale * mirrored, scale], dim=1)
    shift = centre - zoom * (boxes[:, :2] + boxes[:, 2:]) / 2
    return torch.cat([torch.diag_embed(zoom), shift[..., None]], dim=2)


def boxes_by(matrices: Tensor, boxes: Tensor) -> Tensor:
    """Boxes `(n, 4)` as matrices `(n, 2, 3)` put them, upright; mirrored, edges change sides."""
    corners = transform(boxes.reshape(-1, 2, 2), matrices)
    return torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)


def lay_over(crops: Tensor, others: Tensor, boxes: Tensor, shown: Tensor) -> Tensor:
    """Crops `(n, 3, h, w)` under what the others `(n, 3, h, w)` have in the boxes `(n, 4)` and softly around.

    shown: `(n, 4)`, the part of each of the others that is photograph; at its border the edge lies within it.
    """
    edge = EDGE * (boxes[:, 2:] - boxes[:, :2]).amin(dim=1).clamp(min=1 / EDGE)[:, None]
    low = torch.maximum(boxes[:, :2] - edge, shown[:, :2])
    high = torch.minimum(boxes[:, 2:] + edge, shown[:, 2:])
    across = _ramp(crops.shape[3], low[:, :1], high[:, :1], edge)[:, None, None, :]
    down = _ramp(crops.shape[2], low[:, 1:], high[:, 1:], edge)[:, None, :, None]
    return torch.lerp(crops, others, across * down)


def covered(boxes: Tensor, kinds: Tensor, pasted: Tensor) -> Tensor:
    """What the boxes `(n, k, 4)` of kinds `(n, k)` are behind the pasted ones `(n, 4)`."""
    low = torch.maximum(boxes[..., :2], pasted[:, None, :2])
    high = torch.minimum(boxes[..., 2:], pasted[:, None, 2:])
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=2).clamp(min=1e-6)
    share = (high - low).clamp(min=0).prod(dim=2) / area
    kinds = torch.where((share > UNSURE) & (kinds == SOMEBODY), CROWD, kinds)
    return torch.where(share > HIDDEN, NOBODY, kinds)


def _ramp(length: int, low: Tensor, high: Tensor, edge: Tensor) -> Tensor:
    """Along one axis `(n, length)`: 1 from low + edge to high - edge `(n, 1)`, falling to 0 beyond."""
    grid = torch.arange(length, device=low.device, dtype=low.dtype)
    return ((grid - low) / edge).clamp(0, 1) * ((high - grid) / edge).clamp(0, 1)
