"""Checkpoint files, friendly and hostile."""

import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from hrformer.checkpoints.errors import HostilePickle, UnreadableCheckpoint
from hrformer.checkpoints.read import read_checkpoint

WEIGHTS = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2), "bn.num_batches_tracked": torch.tensor(3)}


class Opener:
    """A pickle that makes a file when it is loaded without care."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_are_read(tmp_path: Path, zipped: bool) -> None:
    torch.save(WEIGHTS, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    state = read_checkpoint(tmp_path / "w.pth")
    assert state.keys() == WEIGHTS.keys()
    assert state["a.weight"].equal(WEIGHTS["a.weight"])


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(1)}, tmp_path / "w.pth")
    state = read_checkpoint(tmp_path / "w.pth")
    assert (state["a"].dtype, state["n"].dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("container", [None, "state_dict", "meta"])
def test_a_hostile_pickle_is_refused_and_runs_nothing(
    tmp_path: Path, zipped: bool, container: str | None
) -> None:
    opened = tmp_path / "opened"
    content = Opener(str(opened)) if container is None else {**WEIGHTS, container: Opener(str(opened))}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(HostilePickle, match=r"refused: reading it would run .*open; only plain weights"):
        read_checkpoint(tmp_path / "w.pth")
    assert not opened.exists()


def test_a_bare_hostile_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Opener(str(tmp_path / "opened")), protocol=2))
    with pytest.raises((HostilePickle, UnreadableCheckpoint)):
        read_checkpoint(tmp_path / "w.pth")
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0, 1, 40, 0.5, 0.95])
def test_a_truncated_file_is_named(tmp_path: Path, zipped: bool, kept: float) -> None:
    torch.save({"w": torch.randn(1000)}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(UnreadableCheckpoint, match=r"w\.pth is truncated, damaged or no PyTorch checkpoint"):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "content", [b"hello, this is text\n" * 9, b"\x80\x02}q\x00.", b"PK\x03\x04 not a zip"]
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UnreadableCheckpoint):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [{}, [], 3, {"state_dict": {"a": 1}}, {"epoch": 3}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UnreadableCheckpoint, match="holds no state_dict"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match=r"there is no file .*nowhere\.pth"):
        read_checkpoint(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("content", [b"", b"12345", struct.pack("<Q", 1 << 40) + b"{}", b"\x05" + b"\0" * 20])
def test_a_damaged_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(UnreadableCheckpoint, match="cannot be read as safetensors"):
        read_checkpoint(tmp_path / "w.safetensors")


def test_arrays_of_numpy_beside_the_weights_are_passed_over(tmp_path: Path) -> None:
    meta = {"sigmas": np.array([0.26, 0.25]), "mean": np.float64(0.5), "names": np.array(["a"])}
    torch.save({"state_dict": WEIGHTS, "meta": meta}, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.pth").keys() == WEIGHTS.keys()


def test_settings_of_training_programs_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("yacs.config")
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    module.CfgNode = node  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", module)
        config = node({"MODEL": node({"NAME": "hrt"})})
        config.frozen = True
        torch.save({"model": WEIGHTS, "config": config}, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.pth").keys() == WEIGHTS.keys()


def test_what_distributed_training_puts_before_every_key_is_taken_off(tmp_path: Path) -> None:
    wrapped = OrderedDict((f"module.{key}", value) for key, value in WEIGHTS.items())
    torch.save({"state_dict": wrapped}, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.pth").keys() == WEIGHTS.keys()
