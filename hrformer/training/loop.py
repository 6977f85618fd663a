"""The training loop, top to bottom."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrformer.checkpoints.save import save_entry
from hrformer.engine.device import Runner, has_fast_bfloat16
from hrformer.images.encode import encode_jpeg
from hrformer.modeling.network import Network
from hrformer.training.interrupt import Interrupt
from hrformer.training.progress import Report
from hrformer.training.recipe import Recipe
from hrformer.training.schedule import learning_rate
from hrformer.training.state import Run, save_state
from hrformer.training.task import Task

WEIGHTS = "model.safetensors"
SAMPLES = "samples.jpg"


class Diverged(ValueError):
    """The loss or its gradient is not finite."""


def train(
    task: Task,
    run: Run,
    recipe: Recipe,
    directory: Path,
    *,
    minutes: float | None,
    report: Report,
    interrupt: Interrupt,
) -> None:
    """Trains until `recipe.steps`, or for so many minutes over all sittings; keeps the best averaged weights.

    Writes `directory / model.safetensors`, `samples.jpg` and `state.pt` at each validation. Asked to
    interrupt, it saves the state after the step it is at.
    raises: Diverged before a step that is not finite, KeyboardInterrupt once interrupted.
    """
    progress, forward = run.progress, _forward(task, run.network, recipe)
    losses: list[float] = []
    started, validated = time.monotonic() - progress.seconds, time.monotonic()
    while (share := _share(run, recipe, minutes)) < 1:
        rate = _set_rate(run, recipe, share)
        crops, targets = task.batch(_indices(progress.step, task.size, recipe), run.generator)
        loss = task.loss(forward(crops), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip_norm)
        losses.append(_finite(loss, norm, progress.step))
        run.optimiser.step()
        run.optimiser.zero_grad(set_to_none=True)
        run.average.update(run.network)
        progress.step += 1
        progress.seconds = time.monotonic() - started
        if progress.step % recipe.log_every_steps == 0:
            _report(report, run, recipe, share, rate, losses)
            losses.clear()
        done = _share(run, recipe, minutes) >= 1
        if done or time.monotonic() - validated > 60 * recipe.validate_every_minutes:
            validate(task, run, directory, report)
            validated = time.monotonic()
        if interrupt.asked and not done:
            save_state(run, directory)
            raise KeyboardInterrupt


def validate(task: Task, run: Run, directory: Path, report: Report) -> None:
    """Measures the averaged weights, keeps them with samples if they are the best yet; saves the state."""
    figures = task.evaluate(run.average.network)
    report.figures({"step": run.progress.step, **figures})
    deciding = next(iter(figures.values()))
    if deciding > run.progress.best:
        run.progress.best = deciding
        rounded = {name: round(value, 4) for name, value in figures.items()}
        entry = task.entry("model", {"measured_on": task.measured_on, **rounded})
        entry = replace(entry, file=directory / WEIGHTS)
        save_entry(run.average.network, entry)
        (directory / SAMPLES).write_bytes(encode_jpeg(task.samples(run.average.network), 88))
    save_state(run, directory)


def _forward(task: Task, network: Network, recipe: Recipe) -> Callable[[Tensor], Any]:
    """The network in training mode, on uint8 crops; in bfloat16 where that is fast and the recipe says so."""
    device = next(network.parameters()).device
    pixels = task.entry("", {}).pixels
    normalise = Runner(network, pixels, device=str(device), precision="float32").normalise
    bfloat16 = recipe.autocast and has_fast_bfloat16(device)
    network.train()

    def forward(crops: Tensor) -> Any:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            return network(normalise(crops))

    return forward


def _share(run: Run, recipe: Recipe, minutes: float | None) -> float:
    """How much of the run is done, by the clock or by steps."""
    return run.progress.step / recipe.steps if minutes is None else run.progress.seconds / (60 * minutes)


def _set_rate(run: Run, recipe: Recipe, share: float) -> float:
    """Gives the optimiser the learning rate of the step, and returns it."""
    rate = learning_rate(
        run.progress.step, share, peak=recipe.learning_rate, warmup_steps=recipe.warmup_steps
    )
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    return rate


def _indices(step: int, size: int, recipe: Recipe) -> Tensor:
    """The samples of a step: each epoch its own order, from the seed; a step may reach into the next ones."""
    positions = torch.arange(step * recipe.batch_size, (step + 1) * recipe.batch_size)
    first = int(positions[0]) // size
    orders = [
        torch.randperm(size, generator=torch.Generator().manual_seed(recipe.seed + epoch))
        for epoch in range(first, int(positions[-1]) // size + 1)
    ]
    return torch.cat(orders)[positions - first * size]


def _finite(loss: Tensor, norm: Tensor, step: int) -> float:
    value = loss.item()
    if not math.isfinite(value) or not math.isfinite(norm.item()):
        raise Diverged(
            f"at step {step} the loss is {value:g}, the norm of its gradient {norm.item():g}; "
            "lower learning_rate, or go on from the last state with another one"
        )
    return value


def _report(report: Report, run: Run, recipe: Recipe, share: float, rate: float, losses: list[float]) -> None:
    speed = run.progress.step * recipe.batch_size / run.progress.seconds
    values = {"step": run.progress.step, "loss": sum(losses) / len(losses), "learning_rate": rate}
    report.step(share, {**values, "pictures_per_s": speed})
