"""How far off the network was."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

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
    labels from being empty.
    """
    every = label_log_probabilities(logits, groups)
    losses = F.nll_loss(every, labels, class_weights, ignore_index=ignore, reduction="none").flatten()
    labelled = (labels != ignore).flatten()
    labelled[0] = True
    known = labels.masked_fill(labels == ignore, 0).unsqueeze(1)
    probabilities = every.detach().gather(1, known).flatten()[labelled].exp()
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
    plain = F.nll_loss(label_log_probabilities(auxiliary, groups), labels, class_weights, ignore_index=ignore)
    return hard + auxiliary_weight * plain
