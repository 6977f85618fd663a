"""A network → a safetensors file that describes itself, and its entry in the manifest."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from hrformer.checkpoints.errors import CheckpointError
from hrformer.checkpoints.manifest import METADATA_KEY, Entry, entry_to_values
from hrformer.checkpoints.weight_file import sha256_of
from hrformer.modeling.network import Network

PRECISIONS = {"float32": torch.float32, "float16": torch.float16}


def save_network(
    network: Network,
    path: Path,
    dtype: torch.dtype = torch.float32,
    *,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Writes the weights, whole or not at all, and gives the SHA-256 of the file.

    dtype: of the matrices and kernels; vectors (biases, norms and their statistics) stay float32, since they
    are small and the variances leave the range of half precision. Counters of batch norms are left out.
    raises: CheckpointError if a weight is not finite in `dtype`, OSError if the file cannot be written.
    """
    stored = {
        key: _stored(key, value, dtype)
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    try:
        save_file(stored, unfinished, metadata={"format": "pt", **(metadata or {})})
    except SafetensorError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{path} cannot be written; is the disk full?") from error
    unfinished.chmod(0o644)  # safetensors writes for the owner alone; a service may run as another user
    unfinished.replace(path)
    return sha256_of(path)


def save_entry(network: Network, entry: Entry) -> Entry:
    """Writes the weights to the entry's file in its precision; gives the entry with the file's SHA-256."""
    description = json.dumps(entry_to_values(entry), ensure_ascii=False)
    sha256 = save_network(
        network, entry.file, PRECISIONS[entry.precision], metadata={METADATA_KEY: description}
    )
    return replace(entry, sha256=sha256)


def _stored(key: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    stored = value.detach().to("cpu", dtype if value.dim() > 1 else torch.float32).contiguous()
    if not stored.isfinite().all():
        raise CheckpointError(
            f"{key} has values that are not finite in {str(stored.dtype).removeprefix('torch.')}"
        )
    return stored
