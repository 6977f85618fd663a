"""Shapes, switches and training behaviour of the network, beyond the published numbers."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrformer.modeling.attention import WindowAttention
from hrformer.modeling.backbone import drop_path_rates
from hrformer.modeling.blocks import DropPath
from hrformer.modeling.config import BackboneConfig
from hrformer.modeling.network import Network, create_model
from hrformer.modeling.variants import VARIANTS, small, tiny, variant
from hrformer.modeling.windows import from_windows, relative_position_index, to_windows, window_grid
from tests.strategies import quick, sizes


@pytest.fixture(scope="module")
def pose() -> Network:
    return create_model("tiny", "pose").eval()


@pytest.mark.parametrize(("height", "width"), [(64, 48), (65, 33), (200, 168), (33, 130)])
def test_heatmaps_have_a_quarter_of_the_picture_rounded_up(pose: Network, height: int, width: int) -> None:
    with torch.inference_mode():
        heatmaps = pose(torch.zeros(2, 3, height, width))
    assert heatmaps.shape == (2, 17, -(-height // 4), -(-width // 4))


def test_segmentation_answers_twice_at_the_size_of_the_picture() -> None:
    network = create_model("tiny", "segmentation", outputs=5).eval()
    with torch.inference_mode():
        auxiliary, final = network(torch.zeros(1, 3, 70, 51))
    assert auxiliary.shape == final.shape == (1, 5, 70, 51)


def test_classification_answers_one_row_for_each_picture() -> None:
    network = create_model("tiny", "classification", outputs=10).eval()
    with torch.inference_mode():
        assert network(torch.zeros(3, 3, 64, 64)).shape == (3, 10)


@pytest.mark.parametrize(("height", "width"), [(64, 48), (240, 320), (65, 33)])
def test_people_are_looked_for_at_a_quarter_of_the_size(height: int, width: int) -> None:
    network = create_model("tiny", "people").eval()
    with torch.inference_mode():
        centres, sides = network(torch.zeros(2, 3, height, width))
    assert centres.shape == (2, -(-height // 4), -(-width // 4))
    assert sides.shape == (2, 4, *centres.shape[1:])


def test_a_fresh_network_sees_a_person_of_40_px_everywhere_and_is_not_sure() -> None:
    torch.manual_seed(0)
    network = create_model("tiny", "people").eval()
    with torch.inference_mode():
        centres, sides = network(torch.randn(1, 3, 64, 64))
    torch.testing.assert_close(centres.sigmoid(), torch.full((1, 16, 16), 0.1), rtol=0.3, atol=0)
    torch.testing.assert_close(sides, torch.full((1, 4, 16, 16), 20.0), rtol=0.3, atol=0)


def test_a_network_for_people_has_the_backbone_of_a_pose_network() -> None:
    pose, people = (create_model("tiny", task).backbone.state_dict() for task in ("pose", "people"))
    assert {k: v.shape for k, v in pose.items()} == {k: v.shape for k, v in people.items()}


def test_pictures_of_a_batch_do_not_see_each_other(pose: Network) -> None:
    images = torch.randn(3, 3, 72, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together, alone = pose(images), pose(images[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_a_pose_network_has_only_the_highest_output() -> None:
    keys = create_model("tiny", "pose").state_dict()
    assert not any(key.startswith("backbone.stage4.1.fusion.paths.1.") for key in keys)
    assert any(key.startswith("backbone.stage4.0.fusion.paths.3.") for key in keys)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_a_configuration(name: str) -> None:
    size, task = VARIANTS[name]
    assert name == f"hrformer-{size}-{task}"
    assert variant(size, task).backbone.window_size == 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("medium", "pose"), "there is no variant 'medium'; choose one of tiny, small, base"),
        (("small", "depth"), "there is no task 'depth'; choose one of pose, segmentation, classification"),
    ],
)
def test_an_unknown_network_is_refused_with_the_known_ones(arguments: tuple[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        create_model(*arguments)


def test_drop_path_rises_over_the_depth_and_is_shared_by_branches() -> None:
    rates = drop_path_rates(replace(small(), drop_path=0.2))
    flat = [rate for stage in rates for module in stage for rate in module]
    assert len(flat) == 14
    assert flat == pytest.approx([0.2 * i / 13 for i in range(14)])


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropped = DropPath(0.25).train()(torch.ones(4000, 2, 3))
    rows = dropped.flatten(1)
    assert ((rows == 0).all(1) | (rows == 1 / 0.75).all(1)).all()
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def test_drop_path_does_nothing_at_inference() -> None:
    x = torch.randn(5, 2)
    assert DropPath(0.9).eval()(x) is x


def test_every_used_parameter_gets_a_gradient() -> None:
    network = create_model("tiny", "pose").train()
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@quick
@given(sizes(1, 20), st.integers(1, 8))
def test_cutting_into_windows_can_be_undone(size: tuple[int, int], window: int) -> None:
    x = torch.arange(2 * size[0] * size[1] * 3, dtype=torch.float32).reshape(2, *size, 3)
    grid = window_grid(*size, window)
    windows = to_windows(x, grid, window)
    assert windows.shape == (2 * grid.rows * grid.columns, window * window, 3)
    assert from_windows(windows, grid, window).equal(x)


@quick
@given(sizes(1, 30), st.integers(1, 8))
def test_the_larger_half_of_the_padding_is_below_and_right(size: tuple[int, int], window: int) -> None:
    grid = window_grid(*size, window)
    bottom = grid.rows * window - grid.height - grid.top
    right = grid.columns * window - grid.width - grid.left
    assert bottom - grid.top in (0, 1)
    assert right - grid.left in (0, 1)


def test_the_position_index_counts_offsets_of_the_query_from_the_key() -> None:
    index = relative_position_index(3)
    row, column = 2, 1  # the query; the key is the first token
    assert index[row * 3 + column, 0] == (row + 2) * 5 + (column + 2)
    assert index[0, 0] == 12
    assert index.unique().numel() == 25


def test_padding_is_attended_to_unless_it_is_masked() -> None:
    x = torch.randn(1, 5, 6, 8, generator=torch.Generator().manual_seed(0))
    plain, masked = WindowAttention(8, 2), WindowAttention(8, 2, mask_padding=True)
    masked.load_state_dict(plain.state_dict())
    assert not plain(x).allclose(masked(x), atol=1e-3)


def test_a_mask_does_nothing_where_only_one_axis_is_padded() -> None:
    x = torch.randn(1, 7, 6, 8, generator=torch.Generator().manual_seed(0))
    plain, masked = WindowAttention(8, 2), WindowAttention(8, 2, mask_padding=True)
    masked.load_state_dict(plain.state_dict())
    assert plain(x).equal(masked(x))


def test_stored_tables_do_not_change_the_answer() -> None:
    stored = WindowAttention(8, 2, relative_bias="stored")
    x = torch.randn(1, 7, 7, 8)
    before = stored(x)
    torch.nn.init.normal_(stored.bias_table)
    assert stored(x).equal(before)


def test_backbones_differ_in_the_table_of_the_paper() -> None:
    assert tiny() == BackboneConfig(channels=(18, 36, 72, 144), heads=(1, 2, 4, 8), modules=(1, 3, 2))
