"""How alike two poses are: object keypoint similarity (OKS), suppression of duplicates by it, PCK."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hrformer.geometry.skeletons import OKS_SIGMAS

_SPACING = torch.finfo(torch.float64).eps


def oks(
    keypoints: Tensor,
    others: Tensor,
    areas: Tensor,
    *,
    sigmas: Tensor | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """OKS `(n, m)` of `(n, k, 2 or 3)` with `(m, k, 2 or 3)` poses: mean of exp(-d² / (2 (2 sigma)² area)).

    areas:   of the person in square pixels, broadcastable to `(n, m)`.
    sigmas:  `(k,)`, default those of COCO.
    counted: which joints count, broadcastable to `(n, m, k)`, default all; where none does, the answer is 0.
    """
    distance = (keypoints[:, None, :, :2] - others[None, :, :, :2]).square().sum(dim=-1)
    likeness = _likeness(distance, areas, sigmas)
    if counted is None:
        return likeness.mean(dim=-1)
    return (likeness * counted).sum(dim=-1) / counted.expand_as(likeness).sum(dim=-1).clamp(min=1)


def coco_oks(
    keypoints: Tensor, truths: Tensor, areas: Tensor, boxes: Tensor, *, sigmas: Tensor | None = None
) -> Tensor:
    """OKS `(n, m)` of `(n, k, 2 or 3)` detections with `(m, k, 3)` labels, as in COCO's keypoint evaluation.

    Labels with v = 0 do not count. For a person without any label the box stands in, `(m, 4)` xywh: distances
    are those from a box three times as large about the same centre. areas: `(m,)`, square pixels.
    """
    labelled = truths[..., 2] > 0
    outside = _distance_from_boxes(keypoints, boxes)
    distance = (keypoints[:, None, :, :2] - truths[None, :, :, :2]).square().sum(dim=-1)
    unlabelled = ~labelled.any(dim=-1)
    likeness = _likeness(torch.where(unlabelled[:, None], outside, distance), areas, sigmas)
    counted = labelled | unlabelled[:, None]
    return (likeness * counted).sum(dim=-1) / counted.sum(dim=-1)


def pairwise_oks(
    keypoints: Tensor,
    areas: Tensor,
    *,
    sigmas: Tensor | None = None,
    keypoint_threshold: float | None = None,
) -> Tensor:
    """OKS `(n, n)` among `(n, k, 3)` detections, each pair by the mean of their areas.

    keypoint_threshold: in row i, column j count only the joints whose score in j is above it.
    """
    mean_areas = (areas[:, None] + areas[None]) / 2
    counted = None if keypoint_threshold is None else (keypoints[..., 2] > keypoint_threshold)[None]
    return oks(keypoints, keypoints, mean_areas, sigmas=sigmas, counted=counted)


def oks_nms(
    keypoints: Tensor,
    scores: Tensor,
    areas: Tensor,
    threshold: float = 0.9,
    *,
    sigmas: Tensor | None = None,
    keypoint_threshold: float | None = None,
) -> list[int]:
    """Indices of the detections kept, best first.

    keypoints: `(n, k, 3)`. scores, areas: `(n,)`. A detection goes when its OKS with a better one that was
    kept is above the threshold; among equal scores the first is the better.
    """
    alike = pairwise_oks(keypoints, areas, sigmas=sigmas, keypoint_threshold=keypoint_threshold) > threshold
    rows: list[list[bool]] = alike.tolist()
    kept: list[int] = []
    for candidate in torch.argsort(scores, descending=True, stable=True).tolist():
        if not any(rows[better][candidate] for better in kept):
            kept.append(candidate)
    return kept


def soft_oks_nms(
    keypoints: Tensor,
    scores: Tensor,
    areas: Tensor,
    threshold: float = 0.5,
    *,
    limit: int = 20,
    sigmas: Tensor | None = None,
    keypoint_threshold: float | None = None,
) -> tuple[list[int], list[float]]:
    """Indices of at most `limit` detections and their lowered scores, best first.

    Each detection taken multiplies the scores of those left by exp(-oks² / threshold); none is dropped.
    """
    alike = pairwise_oks(keypoints, areas, sigmas=sigmas, keypoint_threshold=keypoint_threshold)
    decay = (-alike.square() / threshold).exp()
    remaining = scores.to(decay.dtype).clone()
    kept: list[int] = []
    kept_scores: list[float] = []
    for _ in range(min(limit, len(scores))):
        best = int(remaining.argmax())
        kept.append(best)
        kept_scores.append(float(remaining[best]))
        remaining = remaining * decay[best]
        remaining[kept] = -torch.inf
    return kept, kept_scores


def rescore(keypoint_scores: Sequence[float], box_score: float, threshold: float = 0.2) -> float:
    """The score of a person: the box's, times the mean of the keypoint scores above the threshold.

    A few numbers at a time, for which an array operation costs more than Python does.
    """
    counted = [score for score in keypoint_scores if score > threshold]
    return box_score * sum(counted) / len(counted) if counted else 0.0


def correct_joints(keypoints: Tensor, truths: Tensor, lengths: Tensor, threshold: float = 0.2) -> Tensor:
    """Which joints lie within `threshold` times the person's length of their label, `(n, k)` bool.

    keypoints, truths: `(n, k, 2 or 3)`. lengths: `(n,)`, in the same pixels.
    """
    distance: Tensor = torch.linalg.vector_norm(keypoints[..., :2] - truths[..., :2], dim=-1)
    return distance <= threshold * lengths[:, None]


def pck(
    keypoints: Tensor, truths: Tensor, visible: Tensor, lengths: Tensor, threshold: float = 0.2
) -> Tensor:
    """Share of the visible joints that are correct as in `correct_joints`, a scalar; NaN if none is visible.

    visible: `(n, k)` bool.
    """
    correct = correct_joints(keypoints, truths, lengths, threshold)
    return torch.sum(correct & visible) / torch.sum(visible)


def _likeness(squared_distance: Tensor, areas: Tensor, sigmas: Tensor | None) -> Tensor:
    spread = squared_distance.new_tensor(OKS_SIGMAS) if sigmas is None else sigmas.to(squared_distance)
    return (-squared_distance / (2 * (2 * spread).square() * (areas[..., None] + _SPACING))).exp()


def _distance_from_boxes(keypoints: Tensor, boxes: Tensor) -> Tensor:
    """Squared distance `(n, m, k)` of points from boxes of three times the size about the given ones."""
    low = boxes[:, None, :2] - boxes[:, None, 2:]
    high = boxes[:, None, :2] + 2 * boxes[:, None, 2:]
    points = keypoints[:, None, :, :2]
    return ((low - points).clamp(min=0) + (points - high).clamp(min=0)).square().sum(dim=-1)
