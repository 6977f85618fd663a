"""How far a tensor is from its reference: stored values and statistics of the whole."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrformer.checkpoints.reference import Expected

CHUNK = 1 << 22  # values that are looked at in float64 at once


def relative_error(values: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """`||a - b|| / ||b||` in float64; infinite where the reference is zero and the values are not."""
    difference = float(np.linalg.norm(values.astype(np.float64) - reference.astype(np.float64)))
    return _ratio(difference, float(np.linalg.norm(reference.astype(np.float64))))


def tensor_error(tensor: Tensor, expected: Expected, stored: NDArray[np.floating]) -> float:
    """The largest of the relative error of the stored values and the errors of mean, std and largest
    magnitude.

    The latter three are relative to the reference's largest magnitude. NaN if the shapes differ.
    """
    if tuple(tensor.shape) != expected.shape:
        return math.nan
    flat = tensor.detach().reshape(-1)
    mean, std, absmax = statistics(flat)
    sampled = flat[:: expected.stride].double().cpu().numpy()
    differences = (abs(mean - expected.mean), abs(std - expected.std), abs(absmax - expected.absmax))
    errors = [relative_error(sampled, stored), *(_ratio(d, expected.absmax) for d in differences)]
    return math.nan if any(math.isnan(error) for error in errors) else max(errors)


def statistics(flat: Tensor) -> tuple[float, float, float]:
    """Mean, population standard deviation and largest magnitude, in float64, a chunk at a time."""
    chunks = torch.split(flat, CHUNK)
    mean = math.fsum(chunk.double().sum().item() for chunk in chunks) / flat.numel()
    variance = math.fsum((chunk.double() - mean).square().sum().item() for chunk in chunks) / flat.numel()
    return mean, math.sqrt(variance), flat.abs().max().item()


def stored_count(expected: Expected) -> int:
    """How many values of the tensor the reference stores."""
    return -(-math.prod(expected.shape) // expected.stride)


def _ratio(difference: float, size: float) -> float:
    if size == 0:
        return 0.0 if difference == 0 else math.inf
    return difference / size
