"""Several processes together do what one does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hrformer.cli.main import main
from hrformer.training.distributed import Ranks, agree, check_batch, gathered, joined, mean_over_all, ranks
from tests.conftest import REPOSITORY
from tests.material import write_mask_set, write_pose_set
from tests.training.in_processes import MASKS, POSES, STATES, states

TWO = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    write_pose_set(directory / POSES, people=6)
    write_mask_set(directory / MASKS, pictures=5)
    return directory


@pytest.fixture(scope="module")
def of_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    """States after the same steps in two processes."""
    output = tmp_path_factory.mktemp("two")
    script = str(REPOSITORY / "tests" / "training" / "in_processes.py")
    subprocess.run([*TWO, script, str(data), str(output)], env=QUIET, check=True)
    found: dict[str, dict[str, torch.Tensor]] = torch.load(output / STATES)
    return found


@pytest.fixture(scope="module")
def of_one(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    return states(data, tmp_path_factory.mktemp("one"))  # type: ignore[return-value]


@pytest.mark.parametrize("task", [POSES, MASKS])
def test_two_processes_train_the_network_that_one_does(
    of_one: dict[str, dict[str, torch.Tensor]], of_two: dict[str, dict[str, torch.Tensor]], task: str
) -> None:
    assert of_one[task].keys() == of_two[task].keys()
    for key, value in of_one[task].items():
        # In float64, but for the loss; where a gradient is nearly nothing, its rounding moves a step of 1e-3.
        torch.testing.assert_close(
            of_two[task][key], value, rtol=0, atol=2e-5, msg=lambda told, key=key: f"{key}: {told}"
        )


def test_two_processes_are_interrupted_together_and_one_goes_on(data: Path, tmp_path: Path) -> None:
    fields = ["network.backbone.modules=(1,1,1)", "network.backbone.blocks=1", "input_size=(64,64)"]
    fields += ["batch_size=2", "canvas_px=96", "log_every_steps=1"]
    run = ["--data", str(data / POSES), "--output", str(tmp_path), "--device", "cpu"]
    command = [*TWO, "-m", "hrformer", "train", "tiny-pose", *fields, "steps=100000", *run]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=QUIET, cwd=tmp_path) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "loss" in line)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) != 0
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    state = torch.load(tmp_path / "state.pt")

    assert said.count("keeps the state, go on with --resume") == 1
    assert state["progress"]["step"] == steps[-1]
    assert main(["train", "tiny-pose", *fields, f"steps={steps[-1] + 1}", *run, "--resume"]) == 0


def test_a_batch_falls_into_parts_that_are_all_of_it() -> None:
    rows = list(range(12))
    parts = [rows[Ranks(rank, 3).part(12)] for rank in range(3)]

    assert parts == [rows[:4], rows[4:8], rows[8:]]


def test_a_process_alone_is_all_there_are() -> None:
    values = torch.tensor([3.0, 4.0])
    with joined("cpu") as device:
        assert (ranks(), device.type) == (Ranks(0, 1), "cpu")
        assert torch.equal(gathered(values), values)
        assert mean_over_all(torch.tensor(6.0), torch.tensor(4)) == 1.5
        assert agree(values[0], asked=True, seconds=2.5).seconds == 2.5
        check_batch(7)
