"""What the training loop asks of a task."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.modeling.network import Network


class Task(Protocol):
    """Labelled pictures in memory, and what to do with them."""

    size: int  # samples in an epoch
    measured_on: str  # what the figures are about, for the manifest

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
        """Varied crops `(n, 3, height, width)` uint8 of samples, and what the network should say of them."""

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """A scalar, in float32."""

    def evaluate(self, network: Network) -> dict[str, float]:
        """Figures on the validation split; the first one decides which weights are best."""

    def samples(self, network: Network) -> npt.NDArray[np.uint8]:
        """A picture `(height, width, 3)` with what the network says of a few validation samples."""

    def entry(self, name: str, metrics: Mapping[str, float | str]) -> Entry:
        """How the weights are to be listed; file and SHA-256 are filled in when they are written."""
