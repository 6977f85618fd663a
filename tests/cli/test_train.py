"""`hrformer train`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hrformer.cli.main import main
from hrformer.training.recipes import RECIPES
from tests.material import write_mask_set, write_pose_set

Out = pytest.CaptureFixture[str]
SMALL = [
    "network.backbone.modules=(1, 1, 1)",
    "network.backbone.blocks=1",
    "batch_size=2",
    "input_size=(64, 64)",
    "canvas_px=96",
    "log_every_steps=1",
]


@pytest.fixture(scope="module")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pose_set(tmp_path_factory.mktemp("train") / "poses")


def arguments(data: Path, output: Path, *rest: str) -> list[str]:
    return [
        "train",
        "tiny-pose",
        *SMALL,
        "--data",
        str(data),
        "--output",
        str(output),
        *rest,
        "--device",
        "cpu",
    ]


def steps(output: Path) -> list[int]:
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [line["step"] for line in lines if "loss" in line]


def test_a_run_trains_is_served_and_measured(poses: Path, tmp_path: Path, capsys: Out) -> None:
    assert main(arguments(poses, tmp_path / "run", "steps=2")) == 0
    model = str(tmp_path / "run" / "model.safetensors")
    capsys.readouterr()

    assert main(["evaluate", model, "--data", str(poses), "--json", "--device", "cpu"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["mean_oks"] <= 1
    picture = str(poses / "images" / "val_0.png")
    assert (
        main(["predict", picture, "--model", model, "--output", str(tmp_path / "p.png"), "--device", "cpu"])
        == 0
    )


def test_a_run_goes_on_with_more_steps(poses: Path, tmp_path: Path) -> None:
    assert main(arguments(poses, tmp_path, "steps=1")) == 0
    assert main(arguments(poses, tmp_path, "--resume", "steps=3")) == 0

    assert steps(tmp_path) == [1, 2, 3]


def test_masks_start_from_the_weights_of_a_pose_network(poses: Path, tmp_path: Path) -> None:
    masks = write_mask_set(tmp_path / "masks")
    assert main(arguments(poses, tmp_path / "poses", "steps=1")) == 0
    run = ["--data", str(masks), "--output", str(tmp_path / "run"), "--device", "cpu"]
    fields = [*SMALL, "steps=1", "input_sizes=((64, 48),)", "network.head.classes=2"]
    source = str(tmp_path / "poses" / "model.safetensors")
    code = main(["train", "tiny-parsing", *fields, *run, "--from", source])

    assert code == 0
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_ctrl_c_keeps_the_state_and_the_run_goes_on(poses: Path, tmp_path: Path) -> None:
    endless = arguments(poses, tmp_path, "steps=100000", "--threads", "1")
    command = [sys.executable, "-m", "hrformer.cli.main", *endless]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "loss" in line)  # the first step is done
        os.kill(process.pid, signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 130
    done = steps(tmp_path)[-1]

    assert "stopping after this step" in said
    assert f"interrupted; {tmp_path} keeps the state, go on with --resume" in said
    assert main(arguments(poses, tmp_path, "--resume", f"steps={done + 1}")) == 0
    assert steps(tmp_path) == list(range(1, done + 2))


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (["batchsize=3"], "there is no field 'batchsize'"),
        (["batch_size=x"], "batch_size is 2; 'x' is not of the same type"),
        (["--minutes", "0"], "minutes is 0; expected more than 0"),
        (["--resume"], "nothing to resume"),
        (["--from", "gone.safetensors"], "gone.safetensors cannot be read"),
        (["--threads", "0"], "threads is 0; expected 1 or more"),
    ],
)
def test_wrong_use_is_one_line(
    poses: Path, tmp_path: Path, rest: list[str], message: str, capsys: Out
) -> None:
    assert main(arguments(poses, tmp_path / "run", *rest)) == 2
    out, err = capsys.readouterr()

    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert not (tmp_path / "run").exists()


def test_a_missing_picture_is_one_line(poses: Path, tmp_path: Path, capsys: Out) -> None:
    data = write_pose_set(tmp_path / "poses")
    (data / "images" / "train_2.png").unlink()
    assert main(arguments(data, tmp_path / "run")) == 2

    assert "train_2.png cannot be read: No such file or directory" in capsys.readouterr().err


def test_help_names_every_recipe(capsys: Out) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())

    assert all(name in said for name in RECIPES)


def test_event_files_are_written_when_asked_for(poses: Path, tmp_path: Path) -> None:
    assert main(arguments(poses, tmp_path, "steps=1", "--tensorboard")) == 0

    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_without_tensorboard_event_files_are_refused_in_a_line(
    poses: Path, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if it were not installed
    for module in ("torch.utils.tensorboard", "hrformer.training.event_files"):
        monkeypatch.delitem(sys.modules, module, raising=False)

    assert main(arguments(poses, tmp_path, "steps=1", "--tensorboard")) == 2
    assert "hrformer train needs tensorboard: pip install 'hrformer[train]'" in capsys.readouterr().err
