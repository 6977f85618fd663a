import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrformer.geometry.similarity import coco_oks, oks, oks_nms, pairwise_oks, pck, rescore, soft_oks_nms
from tests.strategies import people, quick


def areas_of(poses: Tensor) -> Tensor:
    return torch.full((len(poses),), 5000.0, dtype=torch.float64)


@quick
@given(people())
def test_similarity_is_one_with_itself_and_symmetric(poses: Tensor) -> None:
    alike = pairwise_oks(poses, areas_of(poses))

    torch.testing.assert_close(alike.diagonal(), torch.ones_like(alike[0]))
    torch.testing.assert_close(alike, alike.T)


def test_one_joint_off_by_its_spread_costs_what_the_formula_says() -> None:
    # d = 2 sigma sqrt(area), so exp(-1/2); sigma of the nose is 0.026, area 100², d = 5.2 px.
    truth = torch.zeros(1, 17, 3, dtype=torch.float64)
    moved = truth.clone()
    moved[0, 0, 0] = 5.2
    only_nose = torch.arange(17) == 0

    alike = oks(moved, truth, torch.tensor([[1e4]]), counted=only_nose)
    assert alike.item() == pytest.approx(math.exp(-0.5))


def test_without_a_joint_that_counts_the_similarity_is_zero() -> None:
    pose = torch.zeros(1, 17, 3)

    assert oks(pose, pose, torch.ones(1, 1), counted=torch.zeros(17, dtype=torch.bool)).item() == 0


def test_a_person_without_labels_is_matched_by_the_box() -> None:
    inside = torch.full((1, 17, 3), 50.0)
    outside = torch.full((1, 17, 3), 500.0)
    unlabelled, box = torch.zeros(1, 17, 3), torch.tensor([[40.0, 40, 20, 20]])

    alike = coco_oks(torch.cat([inside, outside]), unlabelled, torch.tensor([400.0]), box)
    assert alike[:, 0].tolist() == pytest.approx([1, 0])


@quick
@given(people(), st.floats(0.1, 0.9))
def test_what_is_kept_is_unlike_and_what_goes_is_like_something_better(
    poses: Tensor, threshold: float
) -> None:
    scores = poses[..., 2].mean(dim=1)
    alike = pairwise_oks(poses, areas_of(poses))
    kept = oks_nms(poses, scores, areas_of(poses), threshold)
    dropped = [index for index in range(len(poses)) if index not in kept]

    assert all(alike[a, b] <= threshold for a in kept for b in kept if a != b)
    assert all(any(alike[k, d] > threshold and scores[k] >= scores[d] for k in kept) for d in dropped)


@quick
@given(people(), st.integers(1, 10))
def test_soft_suppression_keeps_everybody_up_to_the_limit_with_falling_scores(
    poses: Tensor, limit: int
) -> None:
    kept, scores = soft_oks_nms(poses, poses[..., 2].mean(dim=1), areas_of(poses), limit=limit)

    assert len(set(kept)) == min(limit, len(poses))
    assert scores == sorted(scores, reverse=True)


def test_nobody_is_suppressed_among_nobody() -> None:
    nobody = torch.zeros(0, 17, 3)

    assert oks_nms(nobody, torch.zeros(0), torch.zeros(0)) == []


def test_a_score_is_the_boxs_times_the_mean_of_its_sure_joints() -> None:
    assert rescore([0.1, 0.4, 0.8], box_score=0.5, threshold=0.2) == pytest.approx(0.3)
    assert rescore([0.1, 0.2, 0.0], box_score=0.9, threshold=0.2) == 0


def test_pck_is_the_share_of_visible_joints_close_enough() -> None:
    truths = torch.zeros(1, 4, 2)
    found = torch.tensor([[[3.0, 4], [6, 8], [0, 1], [0, 0]]])  # 5, 10, 1 and 0 px away
    visible = torch.tensor([[True, True, True, False]])

    assert pck(found, truths, visible, torch.tensor([40.0]), threshold=0.2).item() == pytest.approx(2 / 3)
