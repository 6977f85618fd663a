"""Stored arrays and how far ours are from them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.checkpoints.check import Check

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


def holds(arrays: Arrays, *names: str) -> bool:
    """Whether all these arrays are stored."""
    return all(name in arrays for name in names)


def tensor(arrays: Arrays, name: str) -> Tensor:
    """A stored array as a tensor of the same type."""
    return torch.as_tensor(np.array(arrays[name]))


def size_of(arrays: Arrays, name: str) -> tuple[int, int]:
    """(height, width) from an array that holds width, height."""
    width, height = arrays[name].tolist()
    return int(height), int(width)


def matching(arrays: Arrays, pattern: str) -> Iterator[tuple[str, re.Match[str]]]:
    """The stored arrays whose whole name matches, in their order."""
    for name in arrays:
        match = re.fullmatch(pattern, name)
        if match:
            yield name, match


def compare(
    arrays: Arrays,
    name: str,
    ours: Tensor | Array,
    tolerance: float,
    *,
    rows: Array | None = None,
    per: Tensor | Array | float = 1.0,
) -> Iterator[Check]:
    """The check of one stored array, by its largest difference from ours; none if it is not stored.

    rows: which entries of the leading dimensions count. per: the unit to express the difference in.
    """
    if name in arrays:
        yield Check(name, largest_difference(ours, arrays[name], rows, per), tolerance)


def unknown(name: str) -> Check:
    """The check of an array whose method we do not have: it fails."""
    return Check(name, float("nan"), 0)


def largest_difference(
    ours: Tensor | Array, expected: Array, rows: Array | None = None, per: Tensor | Array | float = 1.0
) -> float:
    """The largest difference where the expected value is a number; infinite if the shapes differ."""
    values = np.asarray(ours, dtype=np.float64)
    if values.shape != expected.shape:
        return float("inf")
    difference = np.abs(values - expected) / np.asarray(per)
    if rows is not None:
        difference, expected = difference[rows], expected[rows]
    difference = difference[~np.isnan(np.asarray(expected, dtype=np.float64))]
    return float(difference.max()) if difference.size else 0.0
