"""A name or a path → the network with its weights."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hrformer.checkpoints.errors import ChecksumMismatch, UnreadableCheckpoint
from hrformer.checkpoints.keys import refuse, shapes_of, wrong_shapes
from hrformer.checkpoints.manifest import Entry
from hrformer.checkpoints.weight_file import sha256_of
from hrformer.modeling.network import Network


def load_network(entry: Entry) -> Network:
    """The entry's network in float32 on the CPU, in eval mode.

    raises: UnreadableCheckpoint if the file is not there or damaged, ChecksumMismatch if it is another one
    than the entry's, KeysDoNotMatch if its keys or shapes are not those of the entry's configuration.
    """
    found = sha256_of(entry.file)
    if found != entry.sha256:
        raise ChecksumMismatch(
            f"{entry.file} is not the file of model {entry.name!r}: its SHA-256 is {found}, "
            f"the manifest says {entry.sha256}; fetch or convert it again"
        )
    network = Network(entry.config)
    load_state(network, read_state(entry.file), str(entry.file))
    return network.eval()


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by key, as float32. raises: UnreadableCheckpoint if this is no whole safetensors file."""
    try:
        return {key: value.to(torch.float32) for key, value in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise UnreadableCheckpoint(f"{path} cannot be read as safetensors: {error}") from error


def load_state(network: Network, state: dict[str, Tensor], where: str) -> None:
    """Puts every tensor into the network. raises: KeysDoNotMatch if a key is missing or too many."""
    expected = shapes_of(network.state_dict())
    wrong = {
        "unknown": [key for key in state if key not in expected],
        "missing": [key for key in expected if key not in state],
        "of the wrong shape": wrong_shapes(state, expected),
    }
    refuse(f"{where} does not fit the network", wrong)
    network.load_state_dict(state)
