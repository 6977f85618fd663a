"""A published checkpoint file → its tensors by key. Nothing in the file is ever executed."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from hrformer.checkpoints.errors import HostilePickle, UnreadableCheckpoint
from hrformer.checkpoints.load import read_state

CONTAINERS = ("state_dict", "model")  # keys under which training programs keep the weights
WRAPPER = "module."  # what distributed training puts before every key


class _Ignored:
    """Stands in for bookkeeping objects that lie beside the weights; drops whatever it is given."""

    def __new__(cls, *_: object) -> Self:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


# Training logs and settings that the published programs save beside the weights. Their classes are never
# imported.
_STAND_INS: list[Any] = [
    (OrderedDict, "yacs.config.CfgNode"),
    *(
        (_Ignored, name)
        for name in (
            "mmengine.logging.history_buffer.HistoryBuffer",
            "numpy.ndarray",
            "numpy.dtype",
            "numpy.core.multiarray._reconstruct",
            "numpy.core.multiarray.scalar",
            "numpy._core.multiarray._reconstruct",
            "numpy._core.multiarray.scalar",
        )
    ),
]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of a `.pth` (zip or legacy) or `.safetensors` file: tensors by key, floating ones as
    float32.

    A leading `module.` of every key is taken off.
    raises: UnreadableCheckpoint if the file is not there, damaged, of no known format or without weights;
    HostilePickle if reading it would run code.
    """
    if not path.is_file():
        raise UnreadableCheckpoint(f"there is no file {path}")
    if path.suffix == ".safetensors":
        return read_state(path)
    state = _weights(_unpickled(path), path)
    if all(key.startswith(WRAPPER) for key in state):
        state = {key.removeprefix(WRAPPER): value for key, value in state.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _unpickled(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from None
    # A damaged pickle fails wherever its bytes first make no sense.
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableCheckpoint(f"{path} is truncated, damaged or no PyTorch checkpoint") from error


def _refusal(path: Path, message: str) -> Exception:
    for marker in ("Unsupported global: GLOBAL ", "unsupported GLOBAL "):
        if marker in message:
            wanted = message.split(marker, 1)[1].split(maxsplit=1)[0]
            return HostilePickle(
                f"{path} is refused: reading it would run {wanted}; only plain weights are read"
            )
    if "unrecognized function" in message or "allowlisted" in message:
        return HostilePickle(f"{path} is refused: reading it would run code; only plain weights are read")
    return UnreadableCheckpoint(f"{path} is truncated, damaged or no PyTorch checkpoint")


def _weights(content: Any, path: Path) -> dict[str, Tensor]:
    for container in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(container), Mapping):
            content = content[container]
    if not isinstance(content, Mapping) or not content:
        raise UnreadableCheckpoint(f"{path} holds no state_dict")
    strange = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise UnreadableCheckpoint(f"{path} holds no state_dict: {strange[0]!r} is no tensor")
    return {str(key): value for key, value in content.items()}
