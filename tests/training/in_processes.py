"""A few steps in float64 in as many processes as there are: `torchrun in_processes.py DATA OUTPUT`."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hrformer.modeling.network import Network, build
from hrformer.training.distributed import joined, ranks
from hrformer.training.interrupt import Interrupt
from hrformer.training.loop import train
from hrformer.training.pose import PoseTask
from hrformer.training.progress import Report
from hrformer.training.recipe import MaskRecipe, Recipe
from hrformer.training.segmentation import SegmentationTask
from hrformer.training.state import start
from hrformer.training.task import Task
from tests.material import shallow_pose
from tests.training.small_runs import mask_recipe, pose_recipe

POSES, MASKS, STATES = "poses", "masks", "states.pt"


class Unmeasured:
    """A task whose validation takes no time."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def evaluate(self, network: Network) -> dict[str, float]:
        return {"mean_oks": 0.0}

    def samples(self, network: Network) -> np.ndarray:
        return np.zeros((8, 8, 3), np.uint8)


def recipes() -> dict[str, Recipe]:
    """Nothing is dropped; among the masks, few pixels count as hard and some have no label."""
    masks = mask_recipe(steps=2, batch_size=4, threshold=0.05, min_kept=0.3, class_balance=0.5)
    head = replace(masks.network.head, dropout=0.0)
    return {
        POSES: pose_recipe(steps=2, network=shallow_pose()),
        MASKS: replace(masks, network=replace(masks.network, head=head)),
    }


def few_steps(data: Path, output: Path, recipe: Recipe, device: torch.device) -> Mapping[str, Tensor]:
    """The network's state after the steps of the recipe."""
    torch.manual_seed(0)
    network = build(recipe.network).double()
    network.register_forward_pre_hook(_widen)
    kind = SegmentationTask if isinstance(recipe, MaskRecipe) else PoseTask
    task = Unmeasured(kind([data], recipe, device))  # type: ignore[arg-type]
    run = start(network, recipe, device)
    with Report(quiet=True) as report, Interrupt() as interrupt:
        train(task, run, recipe, output, minutes=None, report=report, interrupt=interrupt)  # type: ignore[arg-type]
    return run.network.state_dict()


def _widen(_network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(values.double() for values in inputs)


def states(data: Path, output: Path) -> dict[str, Mapping[str, Tensor]]:
    """The states after a few steps of either task, in all the processes that there are."""
    with joined("cpu") as device:
        found = {
            name: few_steps(data / name, output / name, recipe, device) for name, recipe in recipes().items()
        }
        if ranks().is_first:
            torch.save(found, output / STATES)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    states(Path(sys.argv[1]), Path(sys.argv[2]))
