import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrformer.geometry.heatmaps import Coding, target_heatmaps
from hrformer.geometry.keypoints import Refine, decode_heatmaps, heatmap_to_crop
from tests.strategies import quick

INPUT, MAP = (256, 192), (64, 48)


@pytest.mark.parametrize(("coding", "refine", "kernel"), [("unbiased", "dark", 11), ("udp", "udp", 3)])
@quick
@given(x=st.floats(32, 160), y=st.floats(32, 224))
def test_an_exact_target_decodes_to_its_joint(
    coding: Coding, refine: Refine, kernel: int, x: float, y: float
) -> None:
    joint = torch.tensor([[[x, y]]])
    heatmaps, _ = target_heatmaps(joint, torch.ones(1, 1), INPUT, MAP, coding=coding)
    decoded = heatmap_to_crop(decode_heatmaps(heatmaps, refine, kernel), MAP, INPUT, udp=coding == "udp")

    torch.testing.assert_close(decoded[..., :2], joint, atol=0.05, rtol=0)  # 1/80 of a heatmap pixel


@quick
@given(x=st.floats(0, 189), y=st.floats(0, 253))
def test_the_peak_of_a_plain_target_is_one_at_the_nearest_pixel(x: float, y: float) -> None:
    heatmaps, _ = target_heatmaps(torch.tensor([[[x, y]]]), torch.ones(1, 1), INPUT, MAP)
    decoded = heatmap_to_crop(decode_heatmaps(heatmaps, "none"), MAP, INPUT)[0, 0]

    torch.testing.assert_close(decoded, torch.tensor([x, y, 1]), atol=2.001, rtol=0)
    assert decoded[2] == 1


@pytest.mark.parametrize(("x", "weight"), [(-33.9, 1), (-34.1, 0), (213.9, 1), (214.1, 0)])
def test_a_joint_counts_while_its_window_touches_the_map(x: float, weight: float) -> None:
    # Six pixels to each side of pixel x / 4 + 0.5, truncated: gone from pixel -8 and from pixel 54 on.
    # At -7 the window ends just left of the map, and counts: the published code has it so.
    _, weights = target_heatmaps(torch.tensor([[[x, 100.0]]]), torch.ones(1, 1), INPUT, MAP)

    assert weights.item() == weight


@pytest.mark.parametrize("coding", ["msra", "unbiased", "udp"])
def test_a_joint_without_weight_has_an_empty_map(coding: Coding) -> None:
    heatmaps, weights = target_heatmaps(
        torch.full((1, 2, 2), 100.0), torch.tensor([[0.0, 1.0]]), INPUT, MAP, coding=coding
    )

    assert heatmaps.amax(dim=(2, 3)).gt(0.5).tolist() == [[False, True]]
    assert heatmaps[0, 0].max() == weights[0, 0] == 0
