"""Backbones move between tasks, windows and families; heads stay fresh."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hrformer.checkpoints.errors import KeysDoNotMatch, UnknownModel
from hrformer.checkpoints.resize import resize_bias_table
from hrformer.checkpoints.save import save_entry
from hrformer.checkpoints.transfer import backbone_weights, load_backbone, put_backbone
from hrformer.modeling.network import Network, build, create_model
from hrformer.modeling.variants import variant
from tests.checkpoints.entries import entry
from tests.checkpoints.published import CASES, IMAGENET, state_of


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "imagenet.pth"
    torch.save({"model": state_of(CASES[IMAGENET])}, path)
    return path


def weights(network: Network) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in backbone_weights(network).items()}


def test_a_classification_checkpoint_fills_a_pose_backbone(published: Path) -> None:
    pose = create_model("tiny", "pose")
    assert load_backbone(pose, published) == []
    stem = state_of(CASES[IMAGENET])["conv1.weight"]
    assert pose.get_parameter("backbone.stem.0.0.weight").equal(stem)


def test_the_head_stays_as_it_was(published: Path) -> None:
    pose = create_model("tiny", "pose")
    before = pose.get_parameter("head.heatmaps.weight").clone()
    load_backbone(pose, published)
    assert pose.get_parameter("head.heatmaps.weight").equal(before)


def test_a_pose_model_leaves_only_the_lower_outputs_of_the_last_exchange_fresh(tmp_path: Path) -> None:
    saved = save_entry(create_model("tiny", "pose"), entry(tmp_path))
    segmentation = create_model("tiny", "segmentation")
    fresh = load_backbone(segmentation, saved.file)
    assert {key.rsplit(".paths.", 1)[0] for key in fresh} == {"stage4.1.fusion"}
    assert {key.split(".paths.")[1][0] for key in fresh} == {"1", "2", "3"}


def test_tables_are_resized_to_the_window_of_the_network(published: Path) -> None:
    config = variant("tiny", "segmentation")
    wide = build(replace(config, backbone=replace(config.backbone, window_size=9)))
    assert load_backbone(wide, published) == []
    assert wide.get_parameter("backbone.stage2.0.branches.0.0.attention.bias_table").shape == (17 * 17, 1)


def test_tables_stay_fresh_when_the_source_has_none() -> None:
    config = variant("tiny", "pose")
    absent = build(replace(config, backbone=replace(config.backbone, relative_bias="absent")))
    fresh = put_backbone(create_model("tiny", "pose"), backbone_weights(absent))
    assert len(fresh) == 4 + 3 * 6 + 2 * 8  # blocks of stages 2, 3 and 4
    assert all(key.endswith("bias_table") for key in fresh)


def test_a_shallower_network_takes_the_first_modules_of_each_stage() -> None:
    config = variant("tiny", "pose")
    shallow = build(replace(config, backbone=replace(config.backbone, modules=(1, 1, 1))))
    deep = create_model("tiny", "pose")
    assert put_backbone(shallow, backbone_weights(deep)) == []
    source = backbone_weights(deep)
    assert all(value.equal(source[key]) for key, value in backbone_weights(shallow).items())
    with pytest.raises(KeysDoNotMatch, match="missing"):
        put_backbone(deep, backbone_weights(shallow))


def test_a_backbone_of_another_variant_is_refused() -> None:
    with pytest.raises(KeysDoNotMatch, match=r"the backbone does not fit: .*missing"):
        put_backbone(create_model("small", "pose"), backbone_weights(create_model("tiny", "pose")))


def test_a_refused_backbone_changes_nothing() -> None:
    network = create_model("tiny", "pose")
    before = weights(network)
    broken = weights(create_model("tiny", "pose"))
    broken["stem.0.0.weight"] = torch.zeros(1)
    with pytest.raises(KeysDoNotMatch, match=r"stem\.0\.0\.weight \(1 instead of 64×3×3×3\)"):
        put_backbone(network, broken)
    assert all(value.equal(before[key]) for key, value in backbone_weights(network).items())


def test_a_source_that_is_neither_file_nor_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "manifest.toml").write_text("format = 1\n")
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    with pytest.raises(UnknownModel, match="there is no model 'nothing'"):
        load_backbone(create_model("tiny", "pose"), "nothing")


def test_a_table_of_the_same_window_is_left_alone() -> None:
    table = torch.randn(169, 2)
    assert resize_bias_table(table, 7) is table


def test_resizing_keeps_a_constant() -> None:
    assert resize_bias_table(torch.full((9, 3), 0.5), 7).allclose(torch.full((169, 3), 0.5))


def test_resizing_is_bilinear_without_aligned_corners() -> None:
    # Offsets -1, 0, 1 of a window of 2 become five samples at -1.2, -0.6, 0, 0.6, 1.2, held at the ends.
    row = torch.tensor([0.0, 1.0, 4.0])
    resized = resize_bias_table(row.repeat(3)[:, None], 3).reshape(5, 5)
    assert resized[2].tolist() == pytest.approx([0, 0.4, 1, 2.8, 4])


def test_heads_are_resized_apart() -> None:
    table = torch.randn(169, 4)
    together = resize_bias_table(table, 13)
    assert together[:, 2:3].allclose(resize_bias_table(table[:, 2:3].contiguous(), 13))
