"""The mean of several weight files of one network."""

from collections.abc import Sequence

import torch

from hrformer.checkpoints.errors import CheckpointError
from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import Entry
from hrformer.modeling.network import Network


def average(entries: Sequence[Entry]) -> Network:
    """The network whose every weight and statistic is the mean of theirs, in eval mode.

    Runs that went on apart from one state lie in one valley of the loss, and their mean often does better
    than each (model soups, arXiv:2203.05482); unrelated ones have no useful mean.

    raises: CheckpointError if their networks differ, and as `load_network`.
    """
    first, *others = entries
    for other in others:
        if other.config != first.config:
            raise CheckpointError(f"{other.file} is of another network than {first.file}; they have no mean")
    states = [load_network(entry).state_dict() for entry in entries]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for key, value in states[0].items()
    }
    network = Network(first.config)
    network.load_state_dict(mean)
    return network.eval()
