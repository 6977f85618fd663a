"""One sitting of a run: recipe, data and weights brought together, then the loop."""

import ast
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.checkpoints.transfer import load_backbone
from hrformer.engine.device import choose_device
from hrformer.modeling.network import Network, build
from hrformer.training.loop import train
from hrformer.training.pose import PoseTask
from hrformer.training.progress import Report
from hrformer.training.recipe import MaskRecipe, PoseRecipe, Recipe
from hrformer.training.recipes import RECIPES
from hrformer.training.segmentation import SegmentationTask
from hrformer.training.state import load_state, save_state, start
from hrformer.training.task import Task


def sit(
    name: str,
    changes: Sequence[str],
    *,
    data: Path,
    output: Path,
    minutes: float | None = None,
    resume: bool = False,
    source: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Trains by the recipe of this name, with `field=value` changes; see `hrformer train --help`.

    raises: ValueError if recipe, field, data or state are not what they should be. When interrupted, keeps the state.
    """
    recipe = change(choose_recipe(name), changes)
    place = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    if not resume and (output / "state.pt").exists():
        raise ValueError(f"{output} holds a run already; go on with --resume, or give another folder")
    task = make_task(data, recipe, place)
    network = build(recipe.network)
    if source is not None and not resume:
        start_from(network, source)
    run = start(network, recipe, place)
    if resume:
        load_state(run, output)
    with Report(output, appends=resume) as report:
        report.say(
            f"{name}: {task.size} samples, {sum(p.numel() for p in network.parameters()):,} parameters, on {place}"
        )
        try:
            train(task, run, recipe, output, minutes=minutes, report=report)
        except KeyboardInterrupt:
            save_state(run, output)
            raise


def start_from(network: Network, source: str) -> None:
    """Puts weights of a name or file into the network: all of them where the head is the same, else the backbone.

    raises: CheckpointError kin if the source cannot be read or is of another variant.
    """
    if Path(source).suffix not in (".pth", ".pt"):
        origin = load_network(find(source))
        if origin.config.head == network.config.head:
            network.load_state_dict(origin.state_dict())
            return
    load_backbone(network, source)


def choose_recipe(name: str) -> Recipe:
    """raises: ValueError if there is none of this name."""
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def make_task(directory: Path, recipe: Recipe, device: torch.device) -> Task:
    """The labelled pictures of a folder, in memory. raises: BadDataset, naming what is wrong."""
    if isinstance(recipe, PoseRecipe):
        return PoseTask(directory, recipe, device)
    assert isinstance(recipe, MaskRecipe)
    return SegmentationTask(directory, recipe, device)


def change(value: Any, changes: Sequence[str]) -> Any:
    """A dataclass with `field=value` or `field.field=value` changes; values are Python literals.

    raises: ValueError if a field is unknown or its value of another type than before.
    """
    for text in changes:
        path, separator, literal = text.partition("=")
        if not separator:
            raise ValueError(f"{text!r} is no change; expected field=value")
        value = _changed(value, path.split("."), literal, path)
    return value


def _changed(value: Any, path: list[str], literal: str, whole: str) -> Any:
    known = [f.name for f in fields(value)] if is_dataclass(value) else []
    if path[0] not in known:
        raise ValueError(f"there is no field {whole!r}; fields here are {', '.join(known)}")
    old = getattr(value, path[0])
    if len(path) > 1:
        return replace(value, **{path[0]: _changed(old, path[1:], literal, whole)})  # type: ignore[type-var]
    try:
        new = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        new = literal
    if isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool):
        new = float(new)
    if type(new) is not type(old):
        raise ValueError(f"{whole} is {old!r}; {literal!r} is not of the same type")
    return replace(value, **{path[0]: new})  # type: ignore[type-var]
