"""How far off the network was about where people are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hrformer.geometry.detections import Targets, boxes_at_places
from hrformer.training.distributed import mean_over_all


def people_loss(centres: Tensor, sides: Tensor, targets: Targets, *, box_weight: float = 5.0) -> Tensor:
    """The centres' loss plus `box_weight` times the boxes', a scalar (TTFNet, arXiv:1909.00700, equation 8).

    centres: logits `(n, h, w)` float32; sides: `(n, 4, h, w)` float32, input px.
    """
    boxes = generalised_iou_loss(boxes_at_places(sides), targets.boxes)
    boxes = mean_over_all((boxes * targets.weights).sum(), targets.weights.sum(), at_least=1)
    return centre_loss(centres, targets.heatmaps, targets.ignored) + box_weight * boxes


def centre_loss(logits: Tensor, heatmaps: Tensor, ignored: Tensor) -> Tensor:
    """Focal loss over all places, by the number of people, a scalar.

    All `(n, h, w)`. A place whose heatmap is 1 should say yes, all others no, the less so the closer to a
    centre (CenterNet, arXiv:1904.07850, equation 1). Ignored places count nothing.
    """
    centre = heatmaps == 1
    score = logits.sigmoid()
    yes = F.softplus(-logits) * (1 - score) ** 2 * centre
    no = F.softplus(logits) * score**2 * (1 - heatmaps) ** 4
    return mean_over_all((yes + no * ~ignored).sum(), centre.sum(), at_least=1)


def generalised_iou_loss(boxes: Tensor, truths: Tensor) -> Tensor:
    """1 - GIoU `(n, h, w)`, from 0 to 2, of xyxy boxes `(n, 4, h, w)` (arXiv:1902.09630)."""
    inner = (torch.minimum(boxes[:, 2:], truths[:, 2:]) - torch.maximum(boxes[:, :2], truths[:, :2])).clamp(0)
    outer = torch.maximum(boxes[:, 2:], truths[:, 2:]) - torch.minimum(boxes[:, :2], truths[:, :2])
    shared, hull = inner.prod(dim=1), outer.prod(dim=1).clamp(min=1e-6)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (truths[:, 2:] - truths[:, :2]).prod(dim=1) - shared
    return 1 - shared / union.clamp(min=1e-6) + (hull - union) / hull
