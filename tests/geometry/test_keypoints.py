from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrformer.geometry.keypoints import (
    Refine,
    Rules,
    decode_heatmaps,
    flip_back,
    flip_joints,
    heatmap_to_crop,
    merge_flipped,
)
from hrformer.geometry.skeletons import FLIP_PAIRS
from tests.strategies import generator, points, quick, seeds

REFINEMENTS = get_args(Refine)


def random_maps(seed: int, people: int = 2, height: int = 20, width: int = 15) -> Tensor:
    return torch.rand(people, 17, height, width, generator=generator(seed))


def single_peak(x: int, y: int, right: float = 0.5, below: float = 0.5) -> Tensor:
    """A map of 12 × 10 with a peak at (x, y), a higher neighbour to the right of it and one below."""
    heatmap = torch.zeros(1, 1, 12, 10)
    heatmap[0, 0, y, x], heatmap[0, 0, y, x + 1], heatmap[0, 0, y + 1, x] = 1, right, below
    return heatmap


def test_a_shift_goes_a_quarter_pixel_towards_the_higher_neighbour() -> None:
    assert decode_heatmaps(single_peak(5, 6, below=0), "shift")[0, 0].tolist() == [5.25, 6, 1]


@pytest.mark.parametrize(
    ("x", "y", "rules", "expected"),
    [
        (1, 6, "hrformer", [1, 6]),
        (1, 6, "mmpose", [1, 6.25]),
        (5, 1, "hrformer", [5, 1]),
        (5, 1, "mmpose", [5.25, 1]),
        (0, 0, "mmpose", [0, 0]),
    ],
)
def test_near_the_border_the_two_rules_differ(x: int, y: int, rules: Rules, expected: list[float]) -> None:
    assert decode_heatmaps(single_peak(x, y), "shift", rules=rules)[0, 0, :2].tolist() == expected


@pytest.mark.parametrize("refine", REFINEMENTS)
def test_a_map_without_a_peak_is_answered_outside(refine: Refine) -> None:
    assert decode_heatmaps(torch.zeros(1, 1, 12, 10), refine)[0, 0, :2].tolist() == [-1, -1]


@pytest.mark.parametrize("refine", REFINEMENTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_maps_of_few_pixels_have_finite_keypoints(refine: Refine, size: tuple[int, int]) -> None:
    maps = random_maps(1, height=size[0], width=size[1])

    assert decode_heatmaps(maps, refine).isfinite().all()


@pytest.mark.parametrize("refine", REFINEMENTS)
@pytest.mark.parametrize("rules", get_args(Rules))
def test_a_flat_map_does_not_divide_by_zero(refine: Refine, rules: Rules) -> None:
    assert decode_heatmaps(torch.full((1, 1, 12, 10), 0.5), refine, rules=rules).isfinite().all()


@pytest.mark.parametrize("refine", REFINEMENTS)
@quick
@given(seed=seeds())
def test_keypoints_do_not_depend_on_the_rest_of_the_batch(refine: Refine, seed: int) -> None:
    maps = random_maps(seed)
    alone = torch.cat([decode_heatmaps(person, refine) for person in maps.split(1)])

    assert torch.equal(decode_heatmaps(maps, refine), alone)


@pytest.mark.parametrize("refine", ["none", "dark"])
@quick
@given(seed=seeds())
def test_a_mirrored_map_has_mirrored_keypoints(refine: Refine, seed: int) -> None:
    maps = random_maps(seed)
    keypoints, mirrored = decode_heatmaps(maps, refine), decode_heatmaps(maps.flip(-1), refine)

    torch.testing.assert_close(14 - mirrored[..., 0], keypoints[..., 0], rtol=1e-3, atol=1e-3)


def test_equal_neighbours_stay_equal_when_blurred() -> None:
    heatmap = torch.rand(1, 1, 12, 5, generator=generator(2))
    symmetric = torch.cat([heatmap, heatmap.flip(-1)], dim=-1)
    symmetric[..., 4:6] += 5  # two equal peaks side by side: the left one counts, and moves to the right

    assert decode_heatmaps(symmetric, "megvii")[0, 0, 0] == 4 + 0.25 + 0.5


@quick
@given(seeds())
def test_turning_back_twice_changes_nothing(seed: int) -> None:
    maps = random_maps(seed)

    assert torch.equal(flip_back(flip_back(maps, FLIP_PAIRS, shift=False), FLIP_PAIRS, shift=False), maps)


def test_turned_back_maps_move_right_by_one_pixel() -> None:
    maps = random_maps(3)
    plain, shifted = (flip_back(maps, FLIP_PAIRS, shift=shift) for shift in (False, True))

    assert torch.equal(shifted, torch.cat([plain[..., :1], plain[..., :-1]], dim=-1))


def test_a_pass_merged_with_its_own_mirror_image_is_itself() -> None:
    maps = random_maps(4)
    of_flipped = flip_back(maps, FLIP_PAIRS, shift=False)

    torch.testing.assert_close(merge_flipped(maps, of_flipped, FLIP_PAIRS, shift=False), maps)


@quick
@given(points(17), st.integers(1, 500))
def test_joints_flipped_twice_are_where_they_were(joints: Tensor, width: int) -> None:
    torch.testing.assert_close(flip_joints(flip_joints(joints, width, FLIP_PAIRS), width, FLIP_PAIRS), joints)


@pytest.mark.parametrize(("udp", "corner"), [(False, [188.0, 252, 0.5]), (True, [191.0, 255, 0.5])])
def test_the_last_pixel_of_a_map_in_crop_pixels(udp: bool, corner: list[float]) -> None:
    last = torch.tensor([47, 63, 0.5])

    assert heatmap_to_crop(last, (64, 48), (256, 192), udp=udp).tolist() == pytest.approx(corner)
