"""The training loop, top to bottom."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrformer.checkpoints.save import save_entry
from hrformer.engine.device import Runner, has_fast_bfloat16
from hrformer.modeling.network import Network
from hrformer.training.distributed import agree, ranks, seed_step, spread, wait_for_all
from hrformer.training.interrupt import Interrupt
from hrformer.training.progress import Report
from hrformer.training.recipe import Recipe
from hrformer.training.schedule import learning_rate
from hrformer.training.sheets import Sheets, replace_file
from hrformer.training.state import Progress, Run, save_state
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

    Writes `directory / model.safetensors`, `samples.jpg` and `state.pt` at each validation, and a sheet of
    samples for each epoch. Asked to interrupt, it saves the state after the step it is at. Several processes
    take their parts of each batch; the first one alone validates and writes.
    raises: Diverged before a step that is not finite, KeyboardInterrupt once interrupted.
    """
    own, progress, forward = ranks(), run.progress, _forward(task, run.network, recipe)
    losses, told, sheets = list[float](), replace(progress), Sheets(directory)
    started, validated = time.monotonic() - progress.seconds, time.monotonic()
    share = _share(run, recipe, minutes)
    while share < 1:
        seed_step(recipe.seed, progress.step)
        rate = _set_rate(run, recipe, share)
        indices = _indices(progress.step, task.size, recipe)[own.part(recipe.batch_size)]
        crops, targets = task.batch(indices, run.generator)
        loss = task.loss(forward(crops), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip_norm)
        known = agree(loss, asked=interrupt.asked, seconds=time.monotonic() - started)
        losses.append(_finite(known.loss, norm, progress.step))
        run.optimiser.step()
        run.optimiser.zero_grad(set_to_none=True)
        run.average.update(run.network)
        progress.step += 1
        progress.seconds = known.seconds
        share = _share(run, recipe, minutes)
        report.advance(share, progress.seconds)
        if progress.step % recipe.log_every_steps == 0:
            values = _figures(progress, told, recipe, rate, losses)
            report.step(share, progress.seconds, values)
            losses, told = [], replace(progress)
        late = time.monotonic() - validated > 60 * recipe.validate_every_minutes
        if own.is_first and (share >= 1 or late):
            validate(task, run, recipe, directory, report, sheets)
            validated = time.monotonic()
        elif own.is_first and _ends_epoch(progress.step, task.size, recipe) and sheets.are_due():
            _make_sheet(task, run, recipe, report, sheets)
        if known.asked and share < 1:
            if own.is_first:
                save_state(run, directory)
            wait_for_all()
            raise KeyboardInterrupt
    wait_for_all()


def validate(task: Task, run: Run, recipe: Recipe, directory: Path, report: Report, sheets: Sheets) -> None:
    """Measures the averaged weights, keeps them with samples if they are the best yet; saves the state."""
    figures = task.evaluate(run.average.network)
    report.figures({"step": run.progress.step, **figures})
    sheet = _make_sheet(task, run, recipe, report, sheets)
    deciding = next(iter(figures.values()))
    if deciding > run.progress.best:
        run.progress.best = deciding
        rounded = {name: round(value, 4) for name, value in figures.items()}
        entry = task.entry("model", {"measured_on": task.measured_on, **rounded})
        entry = replace(entry, file=directory / WEIGHTS)
        save_entry(run.average.network, entry)
        replace_file(directory / SAMPLES, sheet)
    save_state(run, directory)


def _make_sheet(task: Task, run: Run, recipe: Recipe, report: Report, sheets: Sheets) -> bytes:
    step = run.progress.step
    epoch = math.ceil(step * recipe.batch_size / task.size)
    return sheets.make(task, run.average.network, report, epoch=epoch, step=step)


def _ends_epoch(step: int, size: int, recipe: Recipe) -> bool:
    """Whether the step that was done last has shown the last sample of an epoch."""
    return step * recipe.batch_size // size > (step - 1) * recipe.batch_size // size


def _forward(task: Task, network: Network, recipe: Recipe) -> Callable[[Tensor], Any]:
    """The network in training mode, on uint8 crops; in bfloat16 where that is fast and the recipe says so."""
    device = next(network.parameters()).device
    pixels = task.entry("", {}).pixels
    normalise = Runner(network, pixels, device=str(device), precision="float32").normalise
    bfloat16 = recipe.autocast and has_fast_bfloat16(device)
    outputs = spread(network.train(), device)
    if recipe.compile:
        outputs = torch.compile(outputs)

    def forward(crops: Tensor) -> Any:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            return outputs(normalise(crops))

    return forward


def _share(run: Run, recipe: Recipe, minutes: float | None) -> float:
    """How much of the run is done, by the clock or by steps."""
    return run.progress.step / recipe.steps if minutes is None else run.progress.seconds / (60 * minutes)


def _set_rate(run: Run, recipe: Recipe, share: float) -> float:
    """Gives the optimiser the learning rate of the step, and returns it."""
    rate = learning_rate(recipe, run.progress.step, share)
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


def _finite(loss: float, norm: Tensor, step: int) -> float:
    if not math.isfinite(loss) or not math.isfinite(norm.item()):
        raise Diverged(
            f"at step {step} the loss is {loss:g}, the norm of its gradient {norm.item():g}; "
            "lower learning_rate, or go on from the last state with another one"
        )
    return loss


def _figures(
    progress: Progress, told: Progress, recipe: Recipe, rate: float, losses: Sequence[float]
) -> dict[str, float]:
    """What is reported on the steps since the last report."""
    speed = (progress.step - told.step) * recipe.batch_size / (progress.seconds - told.seconds)
    values = {"step": progress.step, "loss": sum(losses) / len(losses), "learning_rate": rate}
    return {**values, "pictures_per_s": speed}
