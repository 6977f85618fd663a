"""Weight files of our own: written, described, checked and read."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hrformer.checkpoints.errors import (
    BadManifest,
    CheckpointError,
    ChecksumMismatch,
    KeysDoNotMatch,
    UnreadableCheckpoint,
)
from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.checkpoints.save import save_entry, save_network
from hrformer.checkpoints.weight_file import read_header, sha256_of
from hrformer.modeling.network import Network, create_model
from tests.checkpoints.entries import entry


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return create_model("tiny", "pose").eval()


def test_float32_weights_come_back_to_the_bit(tmp_path: Path, network: Network) -> None:
    loaded = load_network(save_entry(network, entry(tmp_path))).state_dict()
    assert all(loaded[key].equal(value) for key, value in network.state_dict().items())


def test_a_loaded_network_is_ready_to_answer(tmp_path: Path, network: Network) -> None:
    assert not load_network(save_entry(network, entry(tmp_path))).training


def test_float16_keeps_vectors_in_float32(tmp_path: Path, network: Network) -> None:
    saved = save_entry(network, entry(tmp_path, precision="float16"))
    kinds = {(value.dim() > 1, value.dtype) for value in load_file(saved.file).values()}
    assert kinds == {(True, torch.float16), (False, torch.float32)}


def test_float16_weights_give_nearly_the_same_answer(tmp_path: Path, network: Network) -> None:
    halved = load_network(save_entry(network, entry(tmp_path, precision="float16")))
    images = torch.randn(1, 3, 64, 48)
    with torch.inference_mode():
        torch.testing.assert_close(halved(images), network(images), rtol=0.02, atol=1e-3)


def test_a_file_describes_itself(tmp_path: Path, network: Network) -> None:
    saved = save_entry(network, entry(tmp_path))
    assert find(saved.file) == saved
    assert find(str(saved.file)) == saved


def test_a_moved_file_is_named_after_its_new_place(tmp_path: Path, network: Network) -> None:
    saved = save_entry(network, entry(tmp_path))
    moved = saved.file.rename(tmp_path / "other.safetensors")
    assert find(moved) == replace(saved, name="other", file=moved)


def test_the_same_weights_make_the_same_file(tmp_path: Path, network: Network) -> None:
    first = save_network(network, tmp_path / "a.safetensors")
    assert save_network(network, tmp_path / "b.safetensors") == first == sha256_of(tmp_path / "a.safetensors")


def test_another_file_under_the_name_is_refused(tmp_path: Path, network: Network) -> None:
    saved = save_entry(network, entry(tmp_path))
    content = bytearray(saved.file.read_bytes())
    content[-1] ^= 1
    saved.file.write_bytes(content)
    with pytest.raises(ChecksumMismatch, match="is not the file of model 'tiny-pose': its SHA-256 is"):
        load_network(saved)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match=r"tiny-pose\.safetensors cannot be read: No such file"):
        load_network(entry(tmp_path))


@pytest.mark.parametrize("kept", [0, 7, 100, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, network: Network, kept: float) -> None:
    saved = save_entry(network, entry(tmp_path))
    whole = saved.file.read_bytes()
    saved.file.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(UnreadableCheckpoint):
        load_network(replace(saved, sha256=sha256_of(saved.file)))


def test_a_file_of_another_network_is_refused_with_its_keys(tmp_path: Path, network: Network) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "tiny-pose.safetensors")
    wrong = replace(entry(tmp_path), sha256=sha256_of(tmp_path / "tiny-pose.safetensors"))
    with pytest.raises(KeysDoNotMatch, match=r"1 unknown: x; \d+ missing: backbone\.stem\.0\.0\.weight"):
        load_network(wrong)


def test_a_file_without_description_says_how_to_make_one(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(BadManifest, match="hrformer convert"):
        find(tmp_path / "x.safetensors")


def test_weights_that_leave_half_precision_are_refused(tmp_path: Path) -> None:
    network = create_model("tiny", "pose")
    with torch.no_grad():
        network.get_parameter("head.heatmaps.weight").fill_(1e6)
    with pytest.raises(
        CheckpointError, match=r"head\.heatmaps\.weight has values that are not finite in float16"
    ):
        save_network(network, tmp_path / "x.safetensors", torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_any_program_can_read_keys_and_shapes(tmp_path: Path, network: Network) -> None:
    saved = save_entry(network, entry(tmp_path))
    header = read_header(saved.file)
    with safe_open(saved.file, framework="pt") as file:
        assert set(file.keys()) == header.keys() - {"__metadata__"}
        assert file.metadata().keys() == {"format", "hrformer"}
