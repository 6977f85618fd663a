"""Runs of a few steps, on sets of a few pictures."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrformer.modeling.network import build
from hrformer.training.augmentation.variation import PoseAugmentation
from hrformer.training.interrupt import Interrupt
from hrformer.training.loop import train
from hrformer.training.pose import PoseTask
from hrformer.training.progress import Lines, Report
from hrformer.training.recipe import MaskRecipe, PoseRecipe, Recipe
from hrformer.training.state import Run, load_state, start
from hrformer.training.task import Task
from tests.material import shallow_person, shallow_pose

CPU = torch.device("cpu")
NO_VARIATION = PoseAugmentation(
    flip=0.0, scale=0.0, rotation_probability=0.0, half_body=0.0, shift=0.0, colour=0.0, erase=0.0
)


def pose_recipe(**changes: Any) -> PoseRecipe:
    """Six steps of four crops of 64 x 64; dropped paths, so that a step draws from torch's generator."""
    network = shallow_pose()
    recipe = PoseRecipe(
        network=replace(network, backbone=replace(network.backbone, drop_path=0.2)),
        input_size=(64, 64),
        canvas_px=96,
        steps=6,
        batch_size=4,
        warmup_steps=2,
        autocast=False,
        log_every_steps=1,
        validate_every_minutes=1e6,
    )
    return replace(recipe, **changes)


def mask_recipe(**changes: Any) -> MaskRecipe:
    recipe = MaskRecipe(
        network=shallow_person(),
        input_size=(64, 48),
        input_sizes=((64, 48),),
        canvas_px=80,
        steps=2,
        batch_size=3,
        warmup_steps=1,
        autocast=False,
        log_every_steps=1,
        validate_every_minutes=1e6,
    )
    return replace(recipe, **changes)


class Disturbed:
    """A task in whose batch number `step`, counted from 0, something happens."""

    def __init__(self, task: Task, step: int) -> None:
        self.task, self.step, self.batches = task, step, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
        if self.batches == self.step:
            self.happen()
        self.batches += 1
        return self.task.batch(indices, generator)

    def happen(self) -> None:
        raise NotImplementedError


class Interrupted(Disturbed):
    """Somebody presses Ctrl-C."""

    def happen(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


class Killed(Disturbed):
    """The process ends, and nothing more is saved."""

    class Gone(Exception):
        """What stands for the end."""

    def happen(self) -> None:
        raise self.Gone


class Spoiled(Disturbed):
    """From that batch on, the loss is not a number."""

    spoiled = False

    def happen(self) -> None:
        self.spoiled = True

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        return self.task.loss(outputs, targets) * (float("nan") if self.spoiled else 1.0)


def run_through(
    task: Task, recipe: Recipe, directory: Path, *, resume: bool = False, minutes: float | None = None
) -> Run:
    """A sitting, as `sit` does it, and where it ended."""
    torch.manual_seed(recipe.seed)
    run = start(build(recipe.network), recipe, CPU)
    if resume:
        load_state(run, directory)
    with Report([Lines(directory, appends=resume)]) as report, Interrupt() as interrupt:
        train(task, run, recipe, directory, minutes=minutes, report=report, interrupt=interrupt)
    return run


def same_state(one: Run, other: Run) -> bool:
    """Whether two runs have the same weights, averages, moments and random numbers ahead, to the bit."""
    networks = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    averages = zip(
        one.average.network.state_dict().values(), other.average.network.state_dict().values(), strict=True
    )
    moments = zip(_moments(one), _moments(other), strict=True)
    return (
        all(torch.equal(a, b) for pairs in (networks, averages, moments) for a, b in pairs)
        and torch.equal(one.generator.get_state(), other.generator.get_state())
        and (one.progress.step, one.average.updates) == (other.progress.step, other.average.updates)
    )


def _moments(run: Run) -> list[Tensor]:
    states = run.optimiser.state_dict()["state"]
    return [states[index][name] for index in sorted(states) for name in ("step", "exp_avg", "exp_avg_sq")]


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """While entered, the process cannot write longer files: what a full disk looks like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def pose_task(directory: Path, **changes: Any) -> PoseTask:
    return PoseTask([directory], pose_recipe(**changes), CPU)
