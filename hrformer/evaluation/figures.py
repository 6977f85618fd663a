"""A figure over a set of pictures, and how far it may be off because the set has those and no others."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]  # how often each picture of a set counts, (pictures,)
Values = npt.NDArray[np.float64]

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
SEED = 0


@dataclass(frozen=True)
class Figure:
    """A share from 0 to 1; NaN where there is none."""

    name: str
    value: float
    low: float = math.nan  # ends of the interval; NaN where there is none
    high: float = math.nan
    group: str = ""  # of figures that are one thing told apart, as "iou" by class


def intervals(
    compute: Callable[[Weights], Values], pictures: int, *, resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """Intervals `(figures, 2)` that hold 95 of 100 values of figures, each from as many pictures drawn anew.

    That is the percentile bootstrap (Efron, The Annals of Statistics 7, 1979): pictures are drawn with
    repetition, each with all that is in it. The same draws on every run.
    compute: the figures of a set in which each picture counts so often; a NaN is left out.
    returns: NaN for a figure that no draw has, and of a single picture, which tells nothing of others.
    """
    random = np.random.default_rng(SEED)
    draws = [
        compute(np.bincount(random.integers(0, pictures, pictures), minlength=pictures).astype(np.float64))
        for _ in range(resamples)
    ]
    return np.array([_ends(column, pictures) for column in np.array(draws).T])


def with_intervals(
    figures: Iterable[Figure],
    compute: Callable[[Weights], Values],
    pictures: int,
    *,
    resamples: int = RESAMPLES,
) -> list[Figure]:
    """The figures, in the order of `compute`, with their intervals."""
    ends = intervals(compute, pictures, resamples=resamples).tolist()
    return [
        Figure(figure.name, figure.value, low, high, figure.group)
        for figure, (low, high) in zip(figures, ends, strict=True)
    ]


def as_values(figures: Sequence[Figure]) -> dict[str, Any]:
    """The figures by name, those of a group in their own table; under `intervals` the same with the ends."""
    return {
        **_tree((figure, figure.value) for figure in figures),
        "intervals": _tree((figure, [figure.low, figure.high]) for figure in figures),
    }


def ratio(part: Any, whole: Any) -> Any:
    """Part of the whole, element by element; NaN where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(whole) == 0, np.nan, np.divide(part, whole))


def _tree(items: Iterable[tuple[Figure, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for figure, value in items:
        (tree.setdefault(figure.group, {}) if figure.group else tree)[figure.name] = value
    return tree


def _ends(column: Values, pictures: int) -> tuple[float, float]:
    known = column[~np.isnan(column)]
    if pictures < 2 or len(known) == 0:
        return math.nan, math.nan
    low, high = np.percentile(known, PERCENTILES).tolist()
    return low, high
