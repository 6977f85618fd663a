"""One sitting of a run: recipe, data and weights brought together, then the loop."""

from collections.abc import Sequence
from pathlib import Path

import torch

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.checkpoints.transfer import backbone_weights, load_backbone, put_backbone
from hrformer.data.unreadable import LeftOut, Unreadable
from hrformer.engine.allocator import keep_freed_memory
from hrformer.engine.device import set_threads
from hrformer.modeling.network import Network, build
from hrformer.training.changes import change
from hrformer.training.classification import ClassificationTask
from hrformer.training.distributed import check_batch, described, joined, ranks
from hrformer.training.interrupt import Interrupt
from hrformer.training.loop import WEIGHTS, train
from hrformer.training.people import PeopleTask
from hrformer.training.pose import PoseTask
from hrformer.training.progress import Lines, Report, Sink
from hrformer.training.recipe import ClassRecipe, MaskRecipe, PeopleRecipe, PoseRecipe, Recipe
from hrformer.training.recipes import RECIPES
from hrformer.training.segmentation import SegmentationTask
from hrformer.training.state import FILE, Run, load_state, start
from hrformer.training.task import Task


def sit(
    name: str,
    changes: Sequence[str],
    *,
    data: Sequence[Path],
    output: Path,
    minutes: float | None = None,
    resume: bool = False,
    source: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    tensorboard: bool = False,
    unreadable: Unreadable = "refuse",
) -> None:
    """Trains by the recipe of this name, with `field=value` changes; see `hrformer train --help`.

    raises: ValueError if recipe, field, data or state are not what they should be; KeyboardInterrupt once
        interrupted, with the state saved if a step was done.
    """
    recipe = change(choose_recipe(name), changes)
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes is {minutes:g}; expected more than 0")
    set_threads(threads)
    keep_freed_memory()
    with joined(device) as own:
        check_batch(recipe.batch_size)
        run = open_run(recipe, own, output, resume=resume, source=source)
        left_out = LeftOut(unreadable)
        task = make_task(data, recipe, own, left_out)
        with (
            report_to(output, appends=resume, tensorboard=tensorboard) as report,
            Interrupt(quiet=not ranks().is_first) as interrupt,
        ):
            _introduce(report, name, task, run, left_out, described(own))
            train(task, run, recipe, output, minutes=minutes, report=report, interrupt=interrupt)


def _introduce(report: Report, name: str, task: Task, run: Run, left_out: LeftOut, where: str) -> None:
    """What the sitting begins with."""
    parameters = sum(parameter.numel() for parameter in run.network.parameters())
    report.say(f"{name}: {task.size} samples, {parameters:,} parameters, on {where}")
    if left_out.count:
        report.say(str(left_out))
    report.data({"step": run.progress.step, "samples": task.size, "left_out": left_out.count})


def report_to(output: Path, *, appends: bool, tensorboard: bool = False) -> Report:
    """Reports in the folder and on the terminal; of several processes, the first one's alone.

    raises: ModuleNotFoundError if event files are asked for and TensorBoard is not there.
    """
    if not ranks().is_first:
        return Report(quiet=True)
    sinks: list[Sink] = []
    if tensorboard:
        from hrformer.training.event_files import EventFiles

        sinks.append(EventFiles(output))
    return Report([Lines(output, appends=appends), *sinks])


def open_run(recipe: Recipe, device: torch.device, output: Path, *, resume: bool, source: str | None) -> Run:
    """The run of a folder where it stands, or a fresh one, with weights by the seed or of `source`.

    raises: ValueError if there is nothing to resume, or a run that would be overwritten.
    """
    if not resume and any((output / name).exists() for name in (FILE, WEIGHTS)):
        raise ValueError(f"{output} holds a run already; go on with --resume, or give another folder")
    torch.manual_seed(recipe.seed)
    network = build(recipe.network)
    if source is not None and not resume:
        start_from(network, source)
    run = start(network, recipe, device)
    if resume:
        load_state(run, output)
    return run


def start_from(network: Network, source: str) -> None:
    """Puts weights of a name or file into the network: all where the head is the same, else the backbone.

    raises: CheckpointError kin if the source cannot be read or is of another variant.
    """
    if Path(source).suffix in (".pth", ".pt"):
        load_backbone(network, source)
        return
    origin = load_network(find(source))
    put_backbone(network, backbone_weights(origin))
    if origin.config.head == network.config.head:
        network.head.load_state_dict(origin.head.state_dict())


def choose_recipe(name: str) -> Recipe:
    """raises: ValueError if there is none of this name."""
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def make_task(
    directories: Sequence[Path], recipe: Recipe, device: torch.device, left_out: LeftOut | None = None
) -> Task:
    """The labelled pictures of the folders, in memory; validation is on the first, with its classes.

    left_out: gets the pictures to train on that cannot be read; such are refused if it is None.
    raises: BadDataset, naming what is wrong.
    """
    if isinstance(recipe, PoseRecipe):
        return PoseTask(directories, recipe, device, left_out)
    if isinstance(recipe, PeopleRecipe):
        return PeopleTask(directories, recipe, device, left_out)
    if isinstance(recipe, ClassRecipe):
        return ClassificationTask(directories, recipe, device, left_out)
    assert isinstance(recipe, MaskRecipe)
    return SegmentationTask(directories, recipe, device, left_out)
