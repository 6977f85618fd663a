"""How far off the network was about where people are."""

import math

import pytest
import torch
from torch import Tensor

from hrformer.geometry.detections import encode_boxes
from hrformer.training.people_losses import centre_loss, generalised_iou_loss, people_loss

NO = torch.zeros(1, 1, 3, dtype=torch.bool)


def box(left: float, top: float, right: float, bottom: float) -> Tensor:
    return torch.tensor([left, top, right, bottom]).view(1, 4, 1, 1)


@pytest.mark.parametrize(
    ("found", "loss"),
    [
        (box(0, 0, 2, 2), 0.0),
        (box(1, 0, 3, 2), 1 - 2 / 6),  # the hull is the union
        (box(1, 1, 3, 3), 1 - 1 / 7 + 2 / 9),
        (box(3, 0, 5, 2), 1 + 2 / 10),  # apart
    ],
)
def test_the_loss_of_a_box_is_that_worked_out_by_hand(found: Tensor, loss: float) -> None:
    assert generalised_iou_loss(found, box(0, 0, 2, 2)).item() == pytest.approx(loss, abs=1e-6)


def test_the_loss_of_centres_is_that_worked_out_by_hand() -> None:
    scores, heatmaps = torch.tensor([[[0.7, 0.4, 0.2]]]), torch.tensor([[[1.0, 0.5, 0.0]]])
    by_hand = -math.log(0.7) * 0.3**2 - math.log(0.6) * 0.4**2 * 0.5**4 - math.log(0.8) * 0.2**2

    assert centre_loss(scores.logit(), heatmaps, NO).item() == pytest.approx(by_hand, rel=1e-5)


def test_ignored_places_count_nothing() -> None:
    heatmaps, ignored = torch.tensor([[[1.0, 0.5, 0.0]]]), torch.tensor([[[False, False, True]]])
    calm, excited = torch.tensor([[[1.0, -1, -9]]]), torch.tensor([[[1.0, -1, 9]]])

    assert centre_loss(calm, heatmaps, ignored) == centre_loss(excited, heatmaps, ignored)
    assert centre_loss(calm, heatmaps, NO) < centre_loss(excited, heatmaps, NO)


def test_a_picture_without_people_still_says_so() -> None:
    empty = encode_boxes(torch.zeros(1, 1, 4), *[torch.zeros(1, 1, dtype=torch.bool)] * 2, (32, 32))
    sides = torch.full((1, 4, 8, 8), 8.0, requires_grad=True)
    losses = [people_loss(torch.full((1, 8, 8), level), sides, empty) for level in (-5.0, 0.0)]

    assert 0 < losses[0] < losses[1]


def test_extreme_answers_keep_the_loss_finite() -> None:
    targets = encode_boxes(torch.tensor([[[4.0, 4, 20, 28]]]), *torch.tensor([[[True]], [[False]]]), (32, 32))
    centres = torch.tensor([[-60.0, 60.0] * 4] * 8)[None].requires_grad_()
    sides = torch.full((1, 4, 8, 8), 1600.0, requires_grad=True)
    loss = people_loss(centres, sides, targets)
    loss.backward()

    assert loss.isfinite()
    assert centres.grad is not None
    assert centres.grad.isfinite().all()
