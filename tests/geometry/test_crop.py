import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrformer.geometry.boxes import centre_scale
from hrformer.geometry.crop import crop_boxes, crop_matrices, to_image, transform, warp
from tests.strategies import boxes, generator, points, quick, sizes

SIZE = (256, 192)
ZERO = torch.zeros(1)


def noise(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (3, height, width), generator=generator(0), dtype=torch.uint8)


@quick
@given(boxes(2), points(), st.floats(-180, 180), st.booleans())
def test_points_go_to_the_crop_and_back(
    given_boxes: Tensor, given_points: Tensor, angle: float, udp: bool
) -> None:
    centre, extent = centre_scale(given_boxes, SIZE)
    matrices = crop_matrices(centre, extent, torch.full((2,), angle), SIZE, udp=udp)
    both = given_points.expand(2, -1, -1)

    torch.testing.assert_close(to_image(transform(both, matrices), matrices), both, atol=1e-6, rtol=1e-6)


def test_a_score_beside_the_point_is_kept() -> None:
    matrices = crop_matrices(torch.tensor([[50.0, 60]]), torch.tensor([[75.0, 100]]), ZERO, SIZE)

    assert to_image(torch.tensor([[[1.0, 2, 0.7]]]), matrices)[0, 0, 2].item() == pytest.approx(0.7)


@pytest.mark.parametrize(("udp", "middle"), [(False, [96.0, 128.0]), (True, [95.5, 127.5])])
def test_the_centre_goes_to_the_middle(udp: bool, middle: list[float]) -> None:
    centre = torch.tensor([[50.0, 60]])
    matrices = crop_matrices(centre, torch.tensor([[75.0, 100]]), torch.tensor([33.0]), SIZE, udp=udp)

    torch.testing.assert_close(transform(centre[None], matrices), torch.tensor([[middle]]))


@pytest.mark.parametrize(("udp", "upwards"), [(False, True), (True, False)])
def test_a_quarter_turn_takes_what_was_right_to_the_top_or_with_udp_to_the_bottom(
    udp: bool, upwards: bool
) -> None:
    matrices = crop_matrices(
        torch.zeros(1, 2), torch.full((1, 2), 100.0), torch.tensor([90.0]), (64, 64), udp=udp
    )
    right_of_centre = transform(torch.tensor([[[10.0, 0]]]), matrices)[0, 0]

    assert (right_of_centre[1] < 31).item() is upwards


def test_a_udp_crop_reaches_from_its_first_to_its_last_pixel() -> None:
    centre, extent = torch.tensor([[50.0, 60]]), torch.tensor([[75.0, 100]])
    corners = torch.stack([centre - extent / 2, centre + extent / 2], dim=1)
    matrices = crop_matrices(centre, extent, ZERO, SIZE, udp=True)

    expected = torch.tensor([[[0.0, 0], [191, 255]]])
    torch.testing.assert_close(transform(corners, matrices), expected, atol=1e-4, rtol=0)


def test_the_identity_leaves_a_picture_as_it_is() -> None:
    picture = noise(31, 40)[None].float()

    torch.testing.assert_close(warp(picture, torch.eye(2, 3)[None], (31, 40)), picture, atol=0.02, rtol=0)


def test_a_crop_at_scale_one_is_a_slice() -> None:
    picture = noise(300, 300)
    crops, _ = crop_boxes(picture, [(20.0, 30, 48, 64)], (64, 48), padding=1.0)

    assert torch.equal(crops[0], picture[:, 30:94, 20:68])


def test_outside_the_image_a_crop_is_black() -> None:
    white = torch.full((3, 50, 50), 255, dtype=torch.uint8)
    crops, _ = crop_boxes(white, [(-48.0, 0, 48, 48), (900, 900, 48, 48)], (48, 48), padding=1.0)

    assert crops.max() == 0


@quick
@given(boxes(2, side_px=150), st.booleans())
def test_a_crop_does_not_depend_on_the_other_boxes(given_boxes: Tensor, udp: bool) -> None:
    picture = noise(120, 160)
    together, _ = crop_boxes(picture, given_boxes.tolist(), (64, 48), udp=udp)
    alone = [crop_boxes(picture, [box], (64, 48), udp=udp)[0][0] for box in given_boxes.tolist()]

    assert torch.equal(together, torch.stack(alone))


@quick
@given(st.floats(150, 900), st.booleans())
def test_a_ramp_stays_the_ramp_however_much_the_crop_shrinks(side_px: float, udp: bool) -> None:
    ramp = (torch.arange(1000) / 4).to(torch.uint8)  # in steps of four pixels: up to 3/4 below x / 4
    picture = ramp.expand(3, 1000, 1000)
    box = (500 - side_px / 2, 500 - side_px / 2, side_px, side_px)
    crops, matrices = crop_boxes(picture, [box], (64, 64), padding=1.0, udp=udp)
    middle_row = torch.stack([torch.arange(64.0), torch.full((64,), 32.0)], dim=-1)
    expected = to_image(middle_row[None], matrices)[0, :, 0] / 4 - 0.375

    inner = slice(1, -1)
    torch.testing.assert_close(crops[0, 0, 32, inner].float(), expected[inner], atol=1.0, rtol=0)


@quick
@given(sizes(3, 90), st.floats(0.2, 12), st.floats(-80, 80), st.floats(-80, 80))
def test_a_crop_samples_the_whole_picture_averaged_over_blocks(
    size: tuple[int, int], shrink: float, x: float, y: float
) -> None:
    picture, side = noise(*size), 32
    crops, matrices = crop_boxes(picture, [(x, y, shrink * side, shrink * side)], (side, side), padding=1.0)

    block = 2 ** max(math.floor(math.log2(shrink * (side - 1) / side)), 0)
    whole_blocks = (0, -size[1] % block, 0, -size[0] % block)
    averaged = F.avg_pool2d(F.pad(picture.float()[None], whole_blocks, mode="replicate"), block)
    matrices[:, :, 2] += matrices[:, :, :2].sum(dim=-1) * (block - 1) / 2
    matrices[:, :, :2] *= block
    expected = warp(averaged, matrices, (side, side))
    torch.testing.assert_close(crops.float(), expected, atol=0.51, rtol=0)


def test_fine_texture_does_not_alias() -> None:
    chequered = ((torch.arange(800)[:, None] + torch.arange(800)) % 2 * 255).to(torch.uint8).expand(3, -1, -1)
    crops, _ = crop_boxes(chequered, [(10.0, 10, 700, 700)], (64, 64), padding=1.0)

    assert crops.float().sub(127.5).abs().max() <= 1


@pytest.mark.parametrize("side_px", [64, 131, 500])
def test_a_crop_does_not_depend_on_how_the_picture_lies_in_memory(side_px: int) -> None:
    picture = noise(300, 333)
    interleaved = picture.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    box = (33.0, 40, side_px, side_px)

    assert torch.equal(crop_boxes(picture, [box], (32, 32))[0], crop_boxes(interleaved, [box], (32, 32))[0])


def test_a_white_picture_is_white_up_to_its_edges_in_a_small_crop() -> None:
    white = torch.full((3, 501, 503), 255, dtype=torch.uint8)  # no whole number of blocks of 4
    crops, _ = crop_boxes(white, [(0.0, 0, 503, 501)], (112, 112), padding=1.0)

    assert crops[:, :, 1:-1, 1:-1].min() == 255
