"""Published checkpoints of every family become networks that compute what the originals do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hrformer.checkpoints.configuration import task_of, variant_of
from hrformer.checkpoints.convert import Conversion, convert, entry_for, network_of
from hrformer.checkpoints.detect import detect_family
from hrformer.checkpoints.errors import CheckpointError, KeysDoNotMatch, UnknownFamily
from hrformer.checkpoints.fill import fill_input
from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.checkpoints.reference import read_array
from hrformer.checkpoints.save import save_entry
from hrformer.checkpoints.translate import FAMILIES
from hrformer.modeling.network import Network
from hrformer.modeling.windows import relative_position_index
from tests.checkpoints.published import (
    CASES,
    IMAGENET,
    MMPOSE,
    POSE,
    SEGMENTATION,
    WITHOUT_TABLES,
    state_of,
)

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def states() -> dict[str, State]:
    return {name: state_of(case) for name, case in CASES.items()}


@pytest.fixture
def tiny(states: dict[str, State]) -> State:
    return dict(states[IMAGENET])


def error_of(network: Network, name: str) -> float:
    """Relative error of the network's last output against the published one."""
    case = CASES[name]
    with torch.inference_mode():
        answer = network(torch.from_numpy(fill_input(case.input.key, case.input.shape)))
    last = answer[1] if isinstance(answer, tuple) else answer
    expected = case.tensors[-1]
    stored = read_array(case.data, expected.name)
    return float(
        np.linalg.norm(last.numpy().reshape(-1)[:: expected.stride] - stored) / np.linalg.norm(stored)
    )


@pytest.mark.parametrize(
    ("name", "container", "prefix", "zipped", "conversion"),
    [
        (POSE, "state_dict", "", True, Conversion()),
        (MMPOSE, "state_dict", "", False, Conversion(mask_padding=True)),
        (WITHOUT_TABLES, "state_dict", "", True, Conversion()),
        (SEGMENTATION, "state_dict", "module.", True, Conversion()),
        (IMAGENET, "model", "", False, Conversion()),
    ],
)
def test_a_converted_checkpoint_answers_as_the_original(
    states: dict[str, State],
    tmp_path: Path,
    name: str,
    container: str,
    prefix: str,
    zipped: bool,
    conversion: Conversion,
) -> None:
    content = {container: {prefix + key: value for key, value in states[name].items()}, "epoch": 210}
    torch.save(content, tmp_path / "source.pth", _use_new_zipfile_serialization=zipped)

    network, family = convert(tmp_path / "source.pth", conversion)
    entry = save_entry(network, entry_for(network, family, "converted", tmp_path, "float32"))

    assert family.name == CASES[name].family
    assert variant_of(network.config.backbone) == CASES[name].variant
    assert error_of(load_network(find(entry.file)), name) < 2e-6


def test_a_safetensors_file_of_a_family_is_read_too(states: dict[str, State], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(states[IMAGENET], tmp_path / "source.safetensors")
    assert convert(tmp_path / "source.safetensors")[1].name == "hrformer-cls"


def test_the_authors_pose_tables_are_stored_and_not_added(states: dict[str, State]) -> None:
    network = network_of(FAMILIES["hrformer-pose"], states[POSE])
    assert network.config.backbone.relative_bias == "stored"


def test_the_bias_can_be_switched_on(states: dict[str, State]) -> None:
    network = network_of(FAMILIES["hrformer-pose"], states[POSE], Conversion(relative_bias="added"))
    assert error_of(network, POSE) > 1e-2


def test_keys_of_old_mmpose_files_are_renamed(states: dict[str, State], tmp_path: Path) -> None:
    old = {key.replace("head.", "keypoint_head.", 1): value for key, value in states[MMPOSE].items()}
    torch.save({"state_dict": old}, tmp_path / "old.pth")
    network, family = convert(tmp_path / "old.pth")
    assert (family.name, task_of(network.config)) == ("mmpose-1.x", "pose")


def test_segmentation_networks_expect_blue_first(states: dict[str, State], tmp_path: Path) -> None:
    family = FAMILIES["hrformer-seg"]
    network = network_of(family, states[SEGMENTATION])
    assert entry_for(network, family, "seg", tmp_path, "float32").pixels.order == "bgr"


@pytest.mark.parametrize("name", CASES)
def test_a_family_is_seen_from_its_keys(states: dict[str, State], name: str) -> None:
    assert detect_family(states[name]).name == CASES[name].family


def test_keys_of_nobody_are_refused() -> None:
    with pytest.raises(UnknownFamily, match=r"no published family \(the first is 'layer.weight'\)"):
        detect_family(["layer.weight"])


def test_an_unknown_key_is_named(tiny: State) -> None:
    tiny["stage2.0.branches.0.0.attn.attn.sharpness"] = torch.zeros(1)
    with pytest.raises(KeysDoNotMatch, match=r"1 unknown: stage2\.0\.branches\.0\.0\.attn\.attn\.sharpness"):
        network_of(FAMILIES["hrformer-cls"], tiny)


def test_a_key_beyond_the_network_is_unknown(tiny: State) -> None:
    tiny["stage2.7.branches.0.0.norm1.weight"] = torch.zeros(18)
    with pytest.raises(KeysDoNotMatch, match=r"1 unknown: stage2\.7\.branches\.0\.0\.norm1\.weight"):
        network_of(FAMILIES["hrformer-cls"], tiny)


@pytest.mark.parametrize(
    "key",
    [
        "conv1.weight",
        "stage3.1.branches.2.0.attn.attn.k_proj.bias",
        "stage4.1.fuse_layers.3.0.2.1.running_var",
        "incre_modules.2.0.downsample.1.weight",
        "classifier.weight",
        "transition1.0.0.weight",
    ],
)
def test_a_missing_key_is_named_as_the_checkpoint_would(tiny: State, key: str) -> None:
    del tiny[key]
    with pytest.raises(KeysDoNotMatch, match=f"1 missing: {key}"):
        network_of(FAMILIES["hrformer-cls"], tiny)


def test_of_many_wrong_keys_a_few_are_named(tiny: State) -> None:
    wrong = {f"extra.{i}.weight": torch.zeros(1) for i in range(9)}
    with pytest.raises(KeysDoNotMatch, match=r"9 unknown: extra\.0\.weight, .* and 4 more"):
        network_of(FAMILIES["hrformer-cls"], tiny | wrong)


def test_a_wrong_shape_is_named_with_both_shapes(tiny: State) -> None:
    tiny["stage2.0.branches.1.0.norm1.weight"] = torch.zeros(35)
    with pytest.raises(
        KeysDoNotMatch, match=r"stage2\.0\.branches\.1\.0\.norm1\.weight \(35 instead of 36\)"
    ):
        network_of(FAMILIES["hrformer-cls"], tiny)


def test_a_position_index_of_another_architecture_is_refused(tiny: State) -> None:
    key = "stage2.0.branches.0.0.attn.attn.relative_position_index"
    tiny[key] = relative_position_index(7).T.contiguous()
    with pytest.raises(KeysDoNotMatch, match=f"1 no position index of this architecture: {key}"):
        network_of(FAMILIES["hrformer-cls"], tiny)


def test_counters_and_indices_need_not_be_there(tiny: State) -> None:
    left_out = ("num_batches_tracked", "relative_position_index")
    bare = {key: value for key, value in tiny.items() if not key.endswith(left_out)}
    assert error_of(network_of(FAMILIES["hrformer-cls"], bare), IMAGENET) < 2e-6


def test_channels_of_no_variant_are_refused(tiny: State) -> None:
    tiny["transition1.0.0.weight"] = torch.zeros(20, 256, 3, 3)
    with pytest.raises(UnknownFamily, match="20 channels; known are tiny 18, small 32, base 78"):
        network_of(FAMILIES["hrformer-cls"], tiny)


def test_a_table_of_no_window_is_refused(tiny: State) -> None:
    first = "stage2.0.branches.0.0.attn.attn.relative_position_bias_table"
    with pytest.raises(KeysDoNotMatch, match="170 rows"):
        network_of(
            FAMILIES["hrformer-cls"], {first: torch.zeros(170, 1)} | tiny | {first: torch.zeros(170, 1)}
        )


def test_weights_that_are_not_finite_are_refused(tiny: State) -> None:
    tiny["classifier.bias"] = torch.full((1000,), float("nan"))
    with pytest.raises(CheckpointError, match="1 tensors are not finite"):
        network_of(FAMILIES["hrformer-cls"], tiny)


def test_another_family_than_the_keys_say_is_an_error(tiny: State) -> None:
    with pytest.raises(KeysDoNotMatch, match=r"does not fit hrformer-pose: 1 missing: keypoint_head"):
        network_of(FAMILIES["hrformer-pose"], tiny)


def test_a_bias_cannot_be_added_without_tables(states: dict[str, State]) -> None:
    with pytest.raises(CheckpointError, match="has no bias tables"):
        network_of(FAMILIES["mmpose-1.x"], states[WITHOUT_TABLES], Conversion(relative_bias="added"))


def test_another_window_resizes_every_table(tiny: State) -> None:
    network = network_of(FAMILIES["hrformer-cls"], tiny, Conversion(window=9))
    shapes = {p.shape[0] for name, p in network.named_parameters() if name.endswith("bias_table")}
    assert shapes == {17 * 17}
    assert network.config.backbone.window_size == 9


def test_the_published_configuration_comes_out(states: dict[str, State]) -> None:
    config: Any = network_of(FAMILIES["hrformer-seg"], states[SEGMENTATION]).config
    assert (config.backbone.upsample, config.backbone.outputs, config.head.classes) == ("nearest", "all", 19)
    assert replace(config.backbone, window_size=7) == config.backbone
