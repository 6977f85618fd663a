"""The training loop, top to bottom."""

import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from hrformer.checkpoints.save import save_entry
from hrformer.engine.device import Runner, has_fast_bfloat16
from hrformer.images.encode import encode_jpeg
from hrformer.training.progress import Report
from hrformer.training.recipe import Recipe
from hrformer.training.schedule import learning_rate
from hrformer.training.state import Run, save_state
from hrformer.training.task import Task


def train(
    task: Task, run: Run, recipe: Recipe, directory: Path, *, minutes: float | None, report: Report
) -> None:
    """Trains until `recipe.steps`, or for so many minutes over all sittings; keeps the best averaged weights.

    Writes `directory / model.safetensors`, `state.pt` and `samples.jpg` at each validation and, with the state as it
    is then, when interrupted.
    raises: FloatingPointError when the loss is not finite.
    """
    network, progress, average = run.network, run.progress, run.average
    device = next(network.parameters()).device
    normalise = Runner(network, task.entry("", {}).pixels, device=str(device), precision="float32").normalise
    network.train()
    bfloat16 = recipe.autocast and has_fast_bfloat16(device)
    losses: list[float] = []
    started, validated = time.monotonic() - progress.seconds, time.monotonic()
    while (share := _share(run, recipe, minutes)) < 1:
        rate = learning_rate(
            progress.step, share, peak=recipe.learning_rate, warmup_steps=recipe.warmup_steps
        )
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        crops, targets = task.batch(_indices(progress.step, task.size, recipe), run.generator)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            outputs = network(normalise(crops))
        loss = task.loss(outputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        run.optimiser.step()
        run.optimiser.zero_grad(set_to_none=True)
        average.update(network)
        losses.append(loss.item())
        progress.step += 1
        progress.seconds = time.monotonic() - started
        if progress.step % recipe.log_every_steps == 0:
            _report(report, run, recipe, share, rate, losses)
            losses.clear()
        done = _share(run, recipe, minutes) >= 1
        if done or time.monotonic() - validated > 60 * recipe.validate_every_minutes:
            validate(task, run, directory, report)
            validated = time.monotonic()


def validate(task: Task, run: Run, directory: Path, report: Report) -> None:
    """Measures the averaged weights, keeps them if they are the best so far, draws samples, saves the state."""
    figures = task.evaluate(run.average.network)
    report.figures({"step": run.progress.step, **figures})
    deciding = next(iter(figures.values()))
    if deciding > run.progress.best:
        run.progress.best = deciding
        entry = replace(task.entry("model", figures), file=directory / "model.safetensors")
        save_entry(run.average.network, entry)
        (directory / "samples.jpg").write_bytes(encode_jpeg(task.samples(run.average.network), 88))
    save_state(run, directory)


def _share(run: Run, recipe: Recipe, minutes: float | None) -> float:
    """How much of the run is done, by the clock or by steps."""
    return run.progress.step / recipe.steps if minutes is None else run.progress.seconds / (60 * minutes)


def _indices(step: int, size: int, recipe: Recipe) -> Tensor:
    """The samples of a step: each epoch its own order, from the seed; a step may reach into the next epoch."""
    positions = torch.arange(step * recipe.batch_size, (step + 1) * recipe.batch_size)
    first = int(positions[0]) // size
    orders = [
        torch.randperm(size, generator=torch.Generator().manual_seed(recipe.seed + epoch))
        for epoch in range(first, int(positions[-1]) // size + 1)
    ]
    return torch.cat(orders)[positions - first * size]


def _report(report: Report, run: Run, recipe: Recipe, share: float, rate: float, losses: list[float]) -> None:
    loss = sum(losses) / len(losses)
    if not loss < float("inf"):
        raise FloatingPointError(f"the loss is {loss} at step {run.progress.step}; lower learning_rate")
    speed = run.progress.step * recipe.batch_size / run.progress.seconds
    report.step(
        share, {"step": run.progress.step, "loss": loss, "learning_rate": rate, "pictures_per_s": speed}
    )
