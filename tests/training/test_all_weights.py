"""`weights/train.sh`: all models from the data by one command, and again after an interruption."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from hrformer.checkpoints.manifest import default_names, read_manifest
from hrformer.geometry.palettes import CAMVID, PARSING
from tests.conftest import REPOSITORY
from tests.material import write_mask_set, write_pose_set

QUICK = (
    "batch_size=2 input_size=(64,48) canvas_px=96 warmup_steps=1 "
    "network.backbone.modules=(1,1,1) network.backbone.blocks=1"
)


def make_weights(data: Path, output: Path) -> str:
    environment = {"PYTHON": sys.executable, "FIELDS": QUICK, "SHARE": "0.001", "OMP_NUM_THREADS": "1"}
    command = [str(REPOSITORY / "weights" / "train.sh"), str(data), str(output)]
    return subprocess.run(
        command, env={**os.environ, **environment}, check=True, capture_output=True, text=True, timeout=600
    ).stdout


@pytest.mark.slow
def test_one_command_makes_all_weights(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "made"
    write_pose_set(data / "pose")
    write_pose_set(data / "people")
    write_mask_set(data / "parsing", classes=[name for name, _ in PARSING])
    write_mask_set(data / "camvid", classes=[name for name, _ in CAMVID])
    write_mask_set(tmp_path / "person")
    with tarfile.open(data / "person.tar", "w") as packed:
        packed.add(tmp_path / "person", "person")
    make_weights(data, output)
    made = read_manifest(output / "weights" / "manifest.toml")
    again = make_weights(data, output)

    assert set(made) == {
        "hrformer-small-pose",
        "hrformer-tiny-pose",
        "hrformer-tiny-parsing",
        "hrformer-tiny-camvid",
        "hrformer-tiny-people",
    }
    assert default_names(output / "weights" / "manifest.toml") == {
        "pose": "hrformer-small-pose",
        "segmentation": "hrformer-tiny-parsing",
        "people": "hrformer-tiny-people",
    }
    assert all(entry.precision == "float16" for entry in made.values())
    with tarfile.open(output / "runs.tar.gz") as packed:
        assert {Path(name).name for name in packed.getnames()} >= {"metrics.jsonl", "evaluation.json"}
    assert all(f"{name} is there" in again for name in made)
