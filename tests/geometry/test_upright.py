import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrformer.geometry.boxes import centre_scale
from hrformer.geometry.crop import crop_boxes, crop_matrices, to_image
from hrformer.geometry.upright import extent_of, points_in_image, upright_crop
from tests.strategies import boxes, generator, points, quick

SIZE = (256, 192)


@quick
@given(boxes(1), st.booleans())
def test_a_crop_is_that_of_a_batch_that_is_not_turned(given_box: Tensor, udp: bool) -> None:
    centre, extent = centre_scale(given_box, SIZE, 1.5)
    matrix = crop_matrices(centre, extent, torch.zeros(1), SIZE, udp=udp)[0]
    box = given_box[0].tolist()

    assert extent_of(*box[2:], SIZE, 1.5) == pytest.approx(extent[0].tolist(), rel=1e-5)
    torch.testing.assert_close(
        torch.tensor(upright_crop(box, SIZE, 1.5, udp=udp).matrix), matrix.float(), atol=1e-3, rtol=1e-4
    )


@quick
@given(boxes(2), points(), st.booleans())
def test_points_come_back_as_through_the_inverse_matrix(
    given_boxes: Tensor, given_points: Tensor, udp: bool
) -> None:
    matrices = torch.tensor([upright_crop(box, SIZE, udp=udp).matrix for box in given_boxes.tolist()])
    both = given_points.expand(2, -1, -1).float()

    expected = to_image(both, matrices)
    back = points_in_image(both.numpy(), matrices.numpy())
    torch.testing.assert_close(torch.from_numpy(back), expected, atol=1e-2, rtol=1e-4)


def test_a_score_beside_the_point_is_kept() -> None:
    matrices = np.array([[[2.0, 0, 10], [0, 4.0, 20]]], np.float32)
    points_with_score = np.array([[[12.0, 28, 0.7]]], np.float32)

    assert points_in_image(points_with_score, matrices)[0, 0].tolist() == pytest.approx([1, 2, 0.7])


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_reduced_picture_gives_the_crop_of_the_full_one(shrink: int) -> None:
    coarse = torch.randint(0, 256, (3, 60, 80), generator=generator(0), dtype=torch.uint8)
    full = coarse.repeat_interleave(shrink, dim=1).repeat_interleave(shrink, dim=2)
    box = [(0.0, 0.0, 80.0 * shrink, 60.0 * shrink)]
    whole, matrices = crop_boxes(full, box, (64, 48))
    reduced, of_reduced = crop_boxes(coarse, box, (64, 48), shrink=shrink)

    torch.testing.assert_close(of_reduced, matrices)
    assert (whole.int() - reduced.int()).abs().float().mean() < 8


def test_a_box_that_vanishes_in_rounding_has_a_crop() -> None:
    crop = upright_crop((100.0, 100.0, 0.0, 0.0), SIZE, udp=True)

    assert np.isfinite(crop.matrix).all()
