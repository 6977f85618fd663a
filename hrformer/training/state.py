"""A run, and everything needed to go on with it as if it had not stopped."""

from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch

from hrformer.engine.device import channels_last
from hrformer.modeling.network import Network
from hrformer.training.ema import AveragedNetwork
from hrformer.training.parameters import adamw
from hrformer.training.recipe import Recipe

FILE = "state.pt"


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0  # steps done
    seconds: float = 0.0  # spent on them, over all sittings
    best: float = float("-inf")  # the deciding figure of the best weights so far


@dataclass
class Run:
    """What changes while training."""

    network: Network
    average: AveragedNetwork
    optimiser: torch.optim.AdamW
    generator: torch.Generator  # draws the augmentation
    progress: Progress = field(default_factory=Progress)


def start(network: Network, recipe: Recipe, device: torch.device) -> Run:
    """A run at its first step, on the device."""
    network = channels_last(network.to(device)).train()
    optimiser = adamw(
        network,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        decay_vectors=recipe.decay_vectors,
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    return Run(network, AveragedNetwork(network, recipe.ema_decay), optimiser, generator)


def save_state(run: Run, directory: Path) -> None:
    """Writes the state of a run, whole or not at all: the last good one survives a full disk or a kill.

    raises: OSError if it cannot be written.
    """
    state = {
        "network": run.network.state_dict(),
        "average": run.average.network.state_dict(),
        "average_updates": run.average.updates,
        "optimiser": run.optimiser.state_dict(),
        "generator": run.generator.get_state(),
        "progress": vars(run.progress),
    }
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{FILE}.part"
    try:
        torch.save(state, unfinished)
    except RuntimeError as error:  # all that torch says of a full disk
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{directory / FILE} cannot be written; is the disk full?") from error
    unfinished.replace(directory / FILE)


def load_state(run: Run, directory: Path) -> None:
    """Puts a saved state back. raises: ValueError if there is none, it is damaged, or another network's."""
    file = directory / FILE
    if not file.is_file():
        raise ValueError(f"nothing to resume: there is no {file}; start without --resume")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, OSError) as error:  # OSError: truncated, as a rule
        raise ValueError(f"{file} is no state of a run, or a damaged one; start anew") from error
    try:
        run.network.load_state_dict(state["network"])
        run.average.network.load_state_dict(state["average"])
        run.optimiser.load_state_dict(state["optimiser"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{file} is of another network or recipe; resume with the one it was made with"
        ) from error
    run.average.updates = state["average_updates"]
    run.generator.set_state(state["generator"])
    run.progress = Progress(**state["progress"])
