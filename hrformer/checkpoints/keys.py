"""Keys and shapes: what a checkpoint must hold, and one sentence about what does not fit."""

import math
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from hrformer.checkpoints.errors import KeysDoNotMatch

Shapes = Mapping[str, tuple[int, ...]]

NAMED = 5  # keys that an error lists of each kind


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes of the entries that a checkpoint must hold: all but the counters of batch norms."""
    return {key: tuple(value.shape) for key, value in state.items() if not is_counter(key)}


def is_counter(key: str) -> bool:
    """Whether the entry counts the batches that a batch norm saw: no one needs it at inference."""
    return key.endswith("num_batches_tracked")


def window_of_table(rows: int) -> int:
    """Tokens on a side of the window whose bias table has so many rows, `(2 w - 1)²`.

    raises: KeysDoNotMatch if there is no such window.
    """
    side = math.isqrt(rows)
    if side * side != rows or side % 2 == 0:
        raise KeysDoNotMatch(f"a bias table has {rows} rows, which is (2 w - 1)² for no window w")
    return (side + 1) // 2


def wrong_shapes(state: Mapping[str, Tensor], expected: Shapes) -> list[str]:
    """Keys whose tensor is of another shape than expected, with both shapes."""
    return [
        f"{key} ({_times(state[key].shape)} instead of {_times(shape)})"
        for key, shape in expected.items()
        if key in state and tuple(state[key].shape) != shape
    ]


def refuse(what: str, wrong: Mapping[str, Sequence[str]]) -> None:
    """raises: KeysDoNotMatch if any of the lists has keys; it gives their number and the first of them."""
    problems = [f"{len(keys)} {kind}: {_first(keys)}" for kind, keys in wrong.items() if keys]
    if problems:
        raise KeysDoNotMatch(f"{what}: {'; '.join(problems)}")


def _first(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{', '.join(keys[:NAMED])}{more}"


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"
