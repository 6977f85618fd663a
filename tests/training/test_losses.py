"""How far off a network was, against values worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from hrformer.training.losses import (
    heatmap_loss,
    label_log_probabilities,
    ohem_cross_entropy,
    segmentation_loss,
)
from tests.strategies import generator, quick


def logits_of(*probabilities: float) -> torch.Tensor:
    """Two classes, one row of pixels, whose class 1 has these probabilities."""
    odds = torch.tensor([math.log(p / (1 - p)) for p in probabilities])
    return torch.stack([torch.zeros_like(odds), odds])[None, :, None, :]  # (1, 2, 1, pixels)


def ones(count: int) -> torch.Tensor:
    return torch.ones(1, 1, count, dtype=torch.int64)


def minus_log(*probabilities: float) -> float:
    """Mean of the cross entropies."""
    return -sum(map(math.log, probabilities)) / len(probabilities)


def test_heatmaps_are_compared_pixel_by_pixel() -> None:
    heatmaps = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    targets = torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]])

    assert heatmap_loss(heatmaps, targets, torch.ones(1, 2)).item() == (1 + 4 + 4 + 9) / 4


def test_a_joint_without_weight_counts_as_right() -> None:
    heatmaps = torch.tensor([[[[1.0, 2.0]], [[30.0, 40.0]]]])

    assert heatmap_loss(heatmaps, torch.zeros(1, 2, 1, 2), torch.tensor([[1.0, 0.0]])).item() == (1 + 4) / 4


def test_a_joint_s_weight_is_squared() -> None:
    heatmaps = torch.ones(1, 1, 2, 2)

    assert heatmap_loss(heatmaps, torch.zeros(1, 1, 2, 2), torch.tensor([[0.5]])).item() == 0.25


def test_hard_pixels_are_those_below_the_threshold() -> None:
    loss = ohem_cross_entropy(logits_of(0.3, 0.95, 0.6, 0.99), ones(4), threshold=0.9, min_kept=1)

    assert loss.item() == pytest.approx(minus_log(0.3, 0.6))


def test_at_least_so_many_pixels_are_kept() -> None:
    loss = ohem_cross_entropy(logits_of(0.3, 0.95, 0.6, 0.99), ones(4), threshold=0.5, min_kept=3)

    assert loss.item() == pytest.approx(minus_log(0.3, 0.6, 0.95))  # below the fourth smallest


def test_pixels_without_a_label_do_not_count() -> None:
    labels = torch.tensor([[[1, -1, 1, -1]]])
    loss = ohem_cross_entropy(logits_of(0.3, 0.1, 0.6, 0.2), labels, threshold=0.9, min_kept=1)

    assert loss.item() == pytest.approx(minus_log(0.3, 0.6))


def test_a_batch_without_labels_has_a_loss_of_zero() -> None:
    labels = torch.full((1, 1, 3), -1)
    loss = ohem_cross_entropy(logits_of(0.3, 0.1, 0.6), labels, threshold=1.1, min_kept=1)

    assert loss.item() == 0


def test_weights_of_classes_multiply_their_pixels() -> None:
    loss = ohem_cross_entropy(
        logits_of(0.3, 0.6), ones(2), threshold=0.9, min_kept=2, class_weights=torch.tensor([1.0, 3.0])
    )

    assert loss.item() == pytest.approx(3 * minus_log(0.3, 0.6))


@quick
@given(st.integers(0, 2**31))
def test_with_all_pixels_hard_it_is_the_plain_cross_entropy(seed: int) -> None:
    logits = torch.randn(2, 5, 4, 3, generator=generator(seed))
    labels = torch.randint(0, 5, (2, 4, 3), generator=generator(seed))
    loss = ohem_cross_entropy(logits, labels, threshold=1.1, min_kept=1)

    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))


def test_the_auxiliary_logits_count_less() -> None:
    final, auxiliary = logits_of(0.3, 0.6), logits_of(0.5, 0.2)
    loss = segmentation_loss(auxiliary, final, ones(2), threshold=0.9, min_kept=1, auxiliary_weight=0.4)

    assert loss.item() == pytest.approx(minus_log(0.3, 0.6) + 0.4 * minus_log(0.5, 0.2))


def test_a_coarse_label_has_the_probability_of_its_classes_together() -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log().view(1, 4, 1, 1)
    every = label_log_probabilities(logits, groups=[(1, 2, 3), (0, 3)]).exp().flatten()

    torch.testing.assert_close(every, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9, 0.5]))


def test_a_coarse_label_leaves_open_which_class_it_is() -> None:
    logits = torch.zeros(1, 3, 1, 1, dtype=torch.float64, requires_grad=True)
    label = torch.full((1, 1, 1), 3)
    ohem_cross_entropy(logits, label, threshold=1.1, min_kept=0, groups=[(1, 2)]).backward()

    away, first, second = logits.grad.flatten().tolist()  # type: ignore[union-attr]
    assert away == pytest.approx(1 / 3)  # the background's whole probability
    assert first == second == pytest.approx(-1 / 6)


def test_coarse_and_exact_labels_train_together() -> None:
    logits = torch.tensor([[0.2, 0.5], [0.3, 0.25], [0.5, 0.25]]).log().view(1, 3, 1, 2)
    labels = torch.tensor([[[2, 3]]])
    loss = segmentation_loss(logits, logits, labels, threshold=1.1, min_kept=0, groups=[(1, 2)])

    assert loss.item() == pytest.approx(1.4 * minus_log(0.5, 0.5))


def test_coarse_labels_have_weights_of_their_own() -> None:
    logits = torch.tensor([[0.2, 0.5], [0.3, 0.25], [0.5, 0.25]]).log().view(1, 3, 1, 2)
    labels = torch.tensor([[[0, 3]]])
    loss = ohem_cross_entropy(
        logits,
        labels,
        threshold=1.1,
        min_kept=0,
        class_weights=torch.tensor([1.0, 1.0, 1.0, 3.0]),
        groups=[(1, 2)],
    )

    assert loss.item() == pytest.approx((minus_log(0.2) + 3 * minus_log(0.5)) / 2)
