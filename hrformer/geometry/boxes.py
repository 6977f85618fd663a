"""Boxes, `[x, y, width, height]` or `[left, top, right, bottom]` in image pixels: overlap, crop's extent."""

from collections.abc import Sequence

import torch
from torch import Tensor

Boxes = Sequence[Sequence[float]]  # x, y, width, height each

PADDING = 1.25  # how much larger than the box the crop is, as in all published COCO configurations


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """`(..., 4)` left, top, right, bottom from `(..., 4)` left, top, width, height."""
    return torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], dim=-1)


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """`(..., 4)` left, top, width, height from `(..., 4)` left, top, right, bottom."""
    return torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], dim=-1)


def clip_boxes(boxes: Boxes, width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Boxes x, y, width, height cut at the edges of an image; one that lies outside keeps no area."""
    clipped = []
    for x, y, wide, high in boxes:
        left, right = (min(max(edge, 0.0), width) for edge in (x, x + wide))
        top, bottom = (min(max(edge, 0.0), height) for edge in (y, y + high))
        clipped.append((left, top, right - left, bottom - top))
    return clipped


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union, `(n, m)`, of `(n, 4)` with `(m, 4)` xyxy boxes; 0 where both are empty."""
    left_top = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    right_bottom = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=-1)
    union = _area(boxes)[:, None] + _area(others)[None] - intersection
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))


def centre_scale(boxes: Tensor, size: tuple[int, int], padding: float = PADDING) -> tuple[Tensor, Tensor]:
    """Centres `(n, 2)` and extents `(n, 2)`, in image pixels, of the crops of `(n, 4)` xywh boxes.

    size:    (height, width) of the crop. The box's shorter side grows about the centre to the crop's aspect
             ratio, then both by `padding`.
    returns: the extent is what the HRNet family calls `200 * scale`; the centre is `x + width / 2`, without a
             half pixel.
    """
    height, width = size
    aspect = width / height
    sides = boxes[..., 2:]
    wide = torch.maximum(sides[..., 0], sides[..., 1] * aspect)
    high = torch.maximum(sides[..., 1], sides[..., 0] / aspect)
    return boxes[..., :2] + sides / 2, torch.stack([wide, high], dim=-1) * padding


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
