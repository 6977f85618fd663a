"""Boxes of people as maps, and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrformer.geometry.boxes import iou
from hrformer.geometry.detections import (
    Targets,
    boxes_at_places,
    decode_boxes,
    encode_boxes,
    merge_looks,
    mirrored_boxes,
    suppress,
)
from tests.strategies import generator, quick, seeds

SIZE = (128, 160)  # (height, width) of the input


def people(*boxes: list[float], ignored: int = 0) -> Targets:
    """Targets of one picture; the last `ignored` boxes are regions of which nothing is asked."""
    wanted = torch.arange(len(boxes))[None] < len(boxes) - ignored
    return encode_boxes(torch.tensor([boxes]), wanted, ~wanted, SIZE)


def perfect(targets: Targets) -> tuple[Tensor, Tensor]:
    """What a network says that has learned the targets by heart."""
    zero = boxes_at_places(torch.zeros_like(targets.boxes))
    sides = (targets.boxes - zero) * torch.tensor([-1.0, -1, 1, 1])[:, None, None]
    return torch.logit(targets.heatmaps, eps=1e-4), sides


def grid_boxes(seed: int) -> Tensor:
    """Up to 12 boxes `(k, 4)` of 10 to 38 px in cells of 40 px: none shares a centre with another."""
    random = generator(seed)
    cells = torch.randperm(12, generator=random)[: int(torch.randint(1, 13, (), generator=random))]
    corners = torch.stack([cells % 4, cells // 4], dim=1) * 40.0
    sides = 10 + 28 * torch.rand(len(cells), 2, generator=random)
    left_top = corners + (40 - sides) * torch.rand(len(cells), 2, generator=random)
    return torch.cat([left_top, left_top + sides], dim=1)


@quick
@given(seeds())
def test_boxes_come_back_from_their_maps(seed: int) -> None:
    boxes = grid_boxes(seed)
    wanted = torch.ones(1, len(boxes), dtype=torch.bool)
    found, scores = decode_boxes(*perfect(encode_boxes(boxes[None], wanted, ~wanted, SIZE)))
    sure = found[0, scores[0] > 0.99]

    assert len(sure) == len(boxes)
    torch.testing.assert_close(iou(boxes, sure).amax(dim=1), torch.ones(len(boxes)), rtol=0, atol=1e-4)


@quick
@given(seeds(), st.sampled_from([0.3, 0.5, 0.8]))
def test_overlapping_boxes_are_suppressed_as_one_by_one(seed: int, overlap: float) -> None:
    random = generator(seed)
    corner = 60 * torch.rand(2, 25, 2, generator=random)
    boxes = torch.cat([corner, corner + 20 + 40 * torch.rand(2, 25, 2, generator=random)], dim=2)
    together = suppress(boxes, overlap)

    for row, kept in zip(boxes, together, strict=True):
        alike = iou(row, row) > overlap
        expected: list[int] = []
        for candidate in range(len(row)):
            if not any(alike[better, candidate] for better in expected):
                expected.append(candidate)
        assert kept.nonzero().flatten().tolist() == expected


@quick
@given(seeds())
def test_the_weights_of_a_person_add_up_to_one(seed: int) -> None:
    boxes = grid_boxes(seed)
    wanted = torch.ones(1, len(boxes), dtype=torch.bool)
    targets = encode_boxes(boxes[None], wanted, ~wanted, SIZE)

    assert targets.weights.sum().item() == pytest.approx(len(boxes), rel=1e-4)


def test_a_picture_without_people_has_nothing_to_say() -> None:
    targets = people([0.0, 0, 0, 0], ignored=1)
    found, scores = decode_boxes(*perfect(targets))

    assert targets.heatmaps.max() == 0
    assert targets.weights.max() == 0
    assert found.shape == (1, 100, 4)
    assert scores.max() < 0.01


def test_the_peak_stands_at_the_place_nearest_to_the_centre() -> None:
    (place,) = (people([36.0, 20, 76, 100]).heatmaps[0] == 1).nonzero().tolist()

    assert place == [15, 14]  # 60 and 56 px, at a stride of 4


def test_the_gaussian_is_as_long_as_the_box() -> None:
    heatmap = people([60.0, 4, 100, 124]).heatmaps[0]

    assert (heatmap[:, 20] > 0).sum() == 2 * 8 + 1  # 0.54 of 15 places, to both sides
    assert (heatmap[16] > 0).sum() == 2 * 2 + 1  # of 5
    assert heatmap[16, 20] == 1


def test_the_smaller_of_two_people_has_the_places_that_both_cover() -> None:
    targets = people([0.0, 0, 120, 120], [50.0, 50, 70, 70])

    assert targets.boxes[0, :, 15, 15].tolist() == [50, 50, 70, 70]
    assert targets.boxes[0, :, 15, 12].tolist() == [0, 0, 120, 120]


def test_nothing_is_asked_of_a_crowd_but_of_the_person_in_it() -> None:
    targets = people([60.0, 40, 80, 80], [40.0, 0, 120, 120], ignored=1)

    assert targets.ignored[0, 2, 12].item()
    assert not targets.ignored[0, 2, 5].item()
    assert not targets.ignored[0, 15, 18].item()  # the centre
    assert (targets.heatmaps == 1).sum() == 1


def test_a_crowd_is_no_person() -> None:
    assert people([40.0, 0, 120, 120], ignored=1).heatmaps.max() == 0


def test_of_two_peaks_with_one_box_the_better_is_kept() -> None:
    centres = torch.full((1, 8, 8), -9.0)
    centres[0, 2, 2], centres[0, 2, 5] = 1.0, 2.0
    found, scores = decode_boxes(centres, torch.full((1, 4, 8, 8), 100.0))

    assert found[0, scores[0] > 0.5].tolist() == [[-80, -92, 120, 108]]


def test_pictures_of_a_batch_are_read_alone() -> None:
    random = generator(5)
    centres = torch.randn(3, 16, 20, generator=random)
    sides = 30 * torch.rand(3, 4, 16, 20, generator=random)
    together = decode_boxes(centres, sides)

    for index in range(3):
        alone = decode_boxes(centres[index : index + 1], sides[index : index + 1])
        assert all(torch.equal(one[0], many[index]) for one, many in zip(alone, together, strict=True))


def test_a_map_smaller_than_the_limit_is_read_whole() -> None:
    found, scores = decode_boxes(torch.zeros(2, 3, 4), torch.ones(2, 4, 3, 4), limit=100)

    assert found.shape == (2, 12, 4)
    assert scores.shape == (2, 12)


def looks(*rows: list[float]) -> Tensor:
    """One picture's boxes and scores, filled up with an empty row."""
    return torch.tensor([[*rows, [0.0, 0, 0, 0, 0]]])


def test_who_is_seen_twice_has_the_mean_box_and_score() -> None:
    one, other = looks([10, 10, 30, 50, 0.8]), looks([12, 10, 34, 50, 0.4])
    (first, second), *_ = merge_looks(one, other)

    assert first.tolist() == pytest.approx([10 + 2 / 3, 10, 30 + 4 / 3, 50, 0.6])
    assert second[4] == 0


def test_who_is_seen_once_keeps_the_box_and_half_the_score() -> None:
    (merged,) = merge_looks(looks([10, 10, 30, 50, 0.8]), looks([60, 10, 80, 50, 0.9]))

    assert merged.tolist() == [pytest.approx([60, 10, 80, 50, 0.45]), pytest.approx([10, 10, 30, 50, 0.4])]


def test_a_box_that_was_suppressed_is_nobodys_partner() -> None:
    one = looks([10, 10, 30, 50, 0.8])
    other = torch.tensor([[[11.0, 10, 30, 50, 0.6], [10, 10, 30, 50, 0.0]]])
    (first, _), *_ = merge_looks(one, other)

    assert first[4].item() == pytest.approx(0.7)


@quick
@given(seeds())
def test_two_like_looks_are_as_one(seed: int) -> None:
    boxes = grid_boxes(seed)
    scores = torch.linspace(0.9, 0.1, len(boxes))
    rows = torch.cat([boxes, scores[:, None]], dim=1)[None]

    torch.testing.assert_close(merge_looks(rows, rows), rows)


@quick
@given(seeds(), seeds())
def test_the_order_of_the_looks_is_of_no_matter(seed: int, other_seed: int) -> None:
    pair = []
    for number in (seed, other_seed):
        found = grid_boxes(number)
        boxes = torch.nn.functional.pad(found, (0, 0, 0, 12 - len(found)))
        scores = torch.rand(12, generator=generator(number)) * (boxes[:, 2] > 0)
        pair.append(torch.cat([boxes, scores[:, None]], dim=1)[None])

    one, other = merge_looks(*pair), merge_looks(*reversed(pair))
    torch.testing.assert_close(one[one[..., 4] > 0], other[other[..., 4] > 0])


def test_boxes_are_mirrored_about_the_middle_of_the_picture() -> None:
    whole_and_part = torch.tensor([[-0.5, 3, 9.5, 5], [0.0, 1, 2, 6]])

    assert mirrored_boxes(whole_and_part, 10).tolist() == [[-0.5, 3, 9.5, 5], [7, 1, 9, 6]]
    assert torch.equal(mirrored_boxes(mirrored_boxes(whole_and_part, 10), 10), whole_and_part)
