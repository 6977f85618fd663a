"""Runs that go on, stop, break, and go on."""

import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.training.loop import Diverged
from hrformer.training.pose import PoseTask
from tests.training.small_runs import (
    NO_VARIATION,
    Interrupted,
    Killed,
    Spoiled,
    files_of_at_most,
    pose_recipe,
    pose_task,
    run_through,
    same_state,
)


@pytest.fixture(scope="module")
def straight(poses: PoseTask, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, Path]:
    directory = tmp_path_factory.mktemp("straight")
    return run_through(poses, pose_recipe(), directory), directory


def lines(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_weights_state_figures_and_samples(straight: tuple[object, Path]) -> None:
    written = {file.name for file in straight[1].iterdir()}

    assert written == {"model.safetensors", "state.pt", "metrics.jsonl", "samples.jpg", "samples"}


def test_the_weights_kept_are_the_averaged_ones(straight: tuple[object, Path]) -> None:
    run, directory = straight
    kept = load_network(find(directory / "model.safetensors")).state_dict()

    for key, value in run.average.network.state_dict().items():  # type: ignore[attr-defined]
        torch.testing.assert_close(kept[key], value, rtol=1e-3, atol=1e-5, msg=key)  # kept in float16


def test_the_weight_file_says_how_good_it_is(straight: tuple[object, Path]) -> None:
    metrics = find(straight[1] / "model.safetensors").metrics

    assert metrics["mean_oks"] == pytest.approx(lines(straight[1])[-1]["mean_oks"], abs=5e-5)
    assert metrics["measured_on"] == "pose/val, 8 persons, boxes given"
    assert {"mean_oks_human", "mean_oks_teacher", "AP", "AR"} <= set(metrics)


def test_every_step_is_reported_with_loss_rate_and_speed(straight: tuple[object, Path]) -> None:
    steps = [line for line in lines(straight[1]) if "loss" in line]

    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(line["loss"]) and line["pictures_per_s"] > 0 for line in steps)
    assert steps[0]["learning_rate"] < steps[1]["learning_rate"] > steps[-1]["learning_rate"]  # warm-up of 2


def test_the_same_seed_gives_the_same_run(
    straight: tuple[object, Path], poses: PoseTask, tmp_path: Path
) -> None:
    assert same_state(run_through(poses, pose_recipe(), tmp_path), straight[0])  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_compiled_run_keeps_its_weights_where_a_plain_one_does(
    straight: tuple[object, Path], poses: PoseTask, tmp_path: Path
) -> None:
    with torch.compiler.set_stance("force_eager"):  # all but the compiling, which takes minutes
        run = run_through(poses, pose_recipe(compile=True), tmp_path)

    assert same_state(run, straight[0])  # type: ignore[arg-type]


def test_a_run_that_was_interrupted_goes_on_to_the_bit(
    straight: tuple[object, Path], poses: PoseTask, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_through(Interrupted(poses, step=2), pose_recipe(), tmp_path)
    resumed = run_through(poses, pose_recipe(), tmp_path, resume=True)

    assert same_state(resumed, straight[0])  # type: ignore[arg-type]


def test_a_run_that_was_killed_goes_on_from_its_last_validation_to_the_bit(
    straight: tuple[object, Path], poses: PoseTask, tmp_path: Path
) -> None:
    recipe = pose_recipe(validate_every_minutes=0.0)  # after every step
    with pytest.raises(Killed.Gone):
        run_through(Killed(poses, step=3), recipe, tmp_path)
    resumed = run_through(poses, recipe, tmp_path, resume=True)

    assert same_state(resumed, straight[0])  # type: ignore[arg-type]


def test_an_interrupted_run_has_ended_at_a_step(poses: PoseTask, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_through(Interrupted(poses, step=2), pose_recipe(), tmp_path)

    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]
    assert torch.load(tmp_path / "state.pt")["progress"]["step"] == 3


def test_a_second_interrupt_stops_at_once(poses: PoseTask, tmp_path: Path) -> None:
    class Impatient(Interrupted):
        def happen(self) -> None:
            super().happen()
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_through(Impatient(poses, step=2), pose_recipe(), tmp_path)

    assert not (tmp_path / "state.pt").exists()


def test_after_a_run_ctrl_c_is_as_before(poses: PoseTask, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_through(poses, pose_recipe(steps=1), tmp_path)

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_state_good(
    poses: PoseTask, tmp_path: Path
) -> None:
    recipe = pose_recipe(validate_every_minutes=0.0)
    with pytest.raises(Diverged, match="at step 3 the loss is nan.*lower learning_rate"):
        run_through(Spoiled(poses, step=3), recipe, tmp_path)
    state = torch.load(tmp_path / "state.pt")

    assert state["progress"]["step"] == 3
    assert all(value.isfinite().all() for value in state["network"].values())


def test_a_full_disk_leaves_the_last_good_state_and_weights(poses: PoseTask, tmp_path: Path) -> None:
    run_through(poses, pose_recipe(steps=1), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("state.pt", "model.safetensors")}
    with files_of_at_most(100_000), pytest.raises(OSError, match="cannot be written; is the disk full"):
        run_through(poses, pose_recipe(steps=2), tmp_path, resume=True)

    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert not list(tmp_path.glob("*.part"))


def test_a_run_by_the_clock_ends_with_it(poses: PoseTask, tmp_path: Path) -> None:
    run = run_through(poses, pose_recipe(steps=10**6), tmp_path, minutes=0.2 / 60)

    assert 0.2 <= run.progress.seconds < 20
    assert 1 <= run.progress.step < 100


def test_a_run_by_the_clock_goes_on_with_the_minutes_left(poses: PoseTask, tmp_path: Path) -> None:
    first = run_through(poses, pose_recipe(), tmp_path, minutes=0.2 / 60)
    second = run_through(poses, pose_recipe(), tmp_path, minutes=0.2 / 60, resume=True)

    assert second.progress.step == first.progress.step


def test_the_best_weights_stay_when_later_ones_are_worse(poses: PoseTask, tmp_path: Path) -> None:
    class Worsening:
        """Says of each validation that it is worse than the last."""

        value = 1.0

        def __getattr__(self, name: str) -> object:
            return getattr(poses, name)

        def evaluate(self, network: object) -> dict[str, float]:
            self.value /= 2
            return {"mean_oks": self.value}

    run_through(Worsening(), pose_recipe(steps=3, validate_every_minutes=0.0), tmp_path)  # type: ignore[arg-type]

    assert find(tmp_path / "model.safetensors").metrics["mean_oks"] == 0.5


def test_a_network_learns_a_few_pictures_by_heart(pose_set: Path, tmp_path: Path) -> None:
    task = pose_task(pose_set, augmentation=NO_VARIATION)
    recipe = pose_recipe(
        steps=16, batch_size=8, learning_rate=4e-3, warmup_steps=3, augmentation=NO_VARIATION
    )
    run_through(task, recipe, tmp_path)
    losses = [line["loss"] for line in lines(tmp_path) if "loss" in line]

    assert losses[-1] < 0.5 * losses[0]
