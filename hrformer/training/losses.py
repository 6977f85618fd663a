"""How far off the network was."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hrformer.training.distributed import gathered, mean_over_all, ranks, summed

Groups = Sequence[tuple[int, ...]]  # classes of which a coarse label says that it is one of them


def heatmap_loss(heatmaps: Tensor, targets: Tensor, joint_weights: Tensor) -> Tensor:
    """Mean over batch, joints and pixels of `(weight * (heatmap - target))²`, a scalar.

    heatmaps, targets: `(n, joints, h, w)`; joint_weights: `(n, joints)`. Joints of weight 0 count as right
    (HRNet, arXiv:1902.09212; not divided by the number of visible joints).
    """
    return (joint_weights[..., None, None] * (heatmaps - targets)).square().mean()


def label_log_probabilities(logits: Tensor, groups: Groups = ()) -> Tensor:
    """Logarithm of the probability of every label, `(n, classes + groups, h, w)`.

    logits: `(n, classes, h, w)`. Label `classes + i` is coarse: it says "one of the classes `groups[i]`",
    and its probability is the sum of theirs: the loss leaves open which (marginal loss, arXiv:2007.03868).
    """
    classes = logits.log_softmax(dim=1)
    coarse = [classes[:, list(group)].logsumexp(dim=1, keepdim=True) for group in groups]
    return torch.cat([classes, *coarse], dim=1)


def ohem_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.9,
    min_kept: int = 100_000,
    class_weights: Tensor | None = None,
    groups: Groups = (),
    ignore: int = -1,
) -> Tensor:
    """Mean cross entropy over the hard pixels: those whose true label has a low probability, a scalar.

    logits: `(n, classes, h, w)`; labels: `(n, h, w)` int64, coarse from `classes` on. A pixel is hard when
    its probability is below the larger of `threshold` and the `min_kept`-th smallest of the batch (OHEM,
    arXiv:1604.03540). The first pixel of the batch always counts as labelled, which keeps a batch without
    labels from being empty. Of several processes, the batch is that of all.
    """
    every = label_log_probabilities(logits, groups)
    losses = F.nll_loss(every, labels, class_weights, ignore_index=ignore, reduction="none").flatten()
    labelled = (labels != ignore).flatten()
    labelled[0] |= ranks().is_first
    known = labels.masked_fill(labels == ignore, 0).unsqueeze(1)
    probabilities = every.detach().gather(1, known).flatten().exp().masked_fill(~labelled, float("inf"))
    kth = min(min_kept, int(summed(labelled.sum())) - 1)
    limit = gathered(probabilities).kthvalue(kth + 1).values.clamp(min=threshold)
    hard = probabilities < limit
    return mean_over_all(torch.where(hard, losses, 0.0).sum(), hard.sum())


def _cross_entropy(
    log_probabilities: Tensor, labels: Tensor, class_weights: Tensor | None, ignore: int
) -> Tensor:
    """Mean over the labelled pixels of the batch of all processes, each pixel weighted by its label."""
    total = F.nll_loss(log_probabilities, labels, class_weights, ignore_index=ignore, reduction="sum")
    labelled = labels != ignore
    if class_weights is None:
        return mean_over_all(total, labelled.sum())
    return mean_over_all(total, (class_weights[labels.masked_fill(~labelled, 0)] * labelled).sum())


def segmentation_loss(
    auxiliary: Tensor,
    final: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.9,
    min_kept: int = 100_000,
    auxiliary_weight: float = 0.4,
    class_weights: Tensor | None = None,
    groups: Groups = (),
    ignore: int = -1,
) -> Tensor:
    """OHEM on the final logits plus the weighted cross entropy of the auxiliary ones, a scalar.

    auxiliary, final: `(n, classes, h, w)`; labels: `(n, h, w)` int64, coarse ones from `classes` on (OCR,
    arXiv:1909.11065). class_weights: `(classes + groups,)`.
    """
    hard = ohem_cross_entropy(
        final,
        labels,
        threshold=threshold,
        min_kept=min_kept,
        class_weights=class_weights,
        groups=groups,
        ignore=ignore,
    )
    plain = _cross_entropy(label_log_probabilities(auxiliary, groups), labels, class_weights, ignore)
    return hard + auxiliary_weight * plain
