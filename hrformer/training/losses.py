"""How far off the network was."""

import torch.nn.functional as F
from torch import Tensor


def heatmap_loss(heatmaps: Tensor, targets: Tensor, joint_weights: Tensor) -> Tensor:
    """Mean over batch, joints and pixels of `(weight * (heatmap - target))²`, a scalar.

    heatmaps, targets: `(n, joints, h, w)`; joint_weights: `(n, joints)`. Joints of weight 0 count as right
    (HRNet, arXiv:1902.09212; not divided by the number of visible joints).
    """
    return (joint_weights[..., None, None] * (heatmaps - targets)).square().mean()


def ohem_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.9,
    min_kept: int = 100_000,
    class_weights: Tensor | None = None,
    ignore: int = -1,
) -> Tensor:
    """Mean cross entropy over the hard pixels: those whose true class has a low probability, a scalar.

    logits: `(n, classes, h, w)`; labels: `(n, h, w)` int64. A pixel is hard when its probability is below the
    larger of `threshold` and the `min_kept`-th smallest of the batch (OHEM, arXiv:1604.03540). The first
    pixel of the batch always counts as labelled, which keeps a batch without labels from being empty.
    """
    losses = F.cross_entropy(logits, labels, class_weights, ignore_index=ignore, reduction="none").flatten()
    labelled = (labels != ignore).flatten()
    labelled[0] = True
    known = labels.masked_fill(labels == ignore, 0).unsqueeze(1)
    probabilities = logits.detach().softmax(dim=1).gather(1, known).flatten()[labelled]
    kth = min(min_kept, probabilities.numel() - 1)
    limit = probabilities.kthvalue(kth + 1).values.clamp(min=threshold)
    return losses[labelled][probabilities < limit].mean()


def segmentation_loss(
    auxiliary: Tensor,
    final: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.9,
    min_kept: int = 100_000,
    auxiliary_weight: float = 0.4,
    class_weights: Tensor | None = None,
    ignore: int = -1,
) -> Tensor:
    """OHEM on the final logits plus the weighted cross entropy of the auxiliary ones, a scalar.

    auxiliary, final: `(n, classes, h, w)`; labels: `(n, h, w)` int64 (OCR, arXiv:1909.11065).
    """
    hard = ohem_cross_entropy(
        final, labels, threshold=threshold, min_kept=min_kept, class_weights=class_weights, ignore=ignore
    )
    plain = F.cross_entropy(auxiliary, labels, class_weights, ignore_index=ignore)
    return hard + auxiliary_weight * plain
