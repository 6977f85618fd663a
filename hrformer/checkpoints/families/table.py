"""How a published family names what we name otherwise: rows of a table, read in both directions.

A row maps the path of one of their modules to ours. `#` stands for a number and keeps its order; `@1/3`
after our path says that the tensor is the second of three that are stacked along the first axis.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Rows = Mapping[str, str]

_LEAVES = {"relative_position_bias_table": "bias_table", "relative_position_index": "bias_index"}
_THEIR_LEAVES = {ours: theirs for theirs, ours in _LEAVES.items()}


class Place(NamedTuple):
    """Where a tensor goes: our key, and which of how many stacked parts of it."""

    key: str
    part: int = 0
    parts: int = 1


class _Row(NamedTuple):
    theirs: re.Pattern[str]
    ours: re.Pattern[str]
    their_path: str
    our_path: str
    part: int
    parts: int


@dataclass(frozen=True)
class Family:
    """One published code base: its name, what its networks do, and its names for their parts."""

    name: str  # as the reference cases call it
    task: str  # "pose", "segmentation" or "classification"
    rows: Rows  # their module path → ours
    adds_bias: bool  # whether its networks add the relative position bias that their checkpoints hold
    backbone_prefix: str = "backbone."  # before the backbone's keys; ours is always "backbone."
    aliases: Rows = field(default_factory=dict)  # older prefixes of keys → today's
    table: "Table" = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", Table(self.rows))


class Table:
    """The rows, ready to be looked up from either side."""

    def __init__(self, rows: Rows) -> None:
        self._rows = [_row(theirs, ours) for theirs, ours in rows.items()]
        self._places: dict[str, Place | None] = {}

    def place(self, key: str) -> Place | None:
        """Where one of their keys goes, or None if no row knows it."""
        if key not in self._places:
            self._places[key] = self._find(key)
        return self._places[key]

    def theirs(self, our_key: str) -> list[str]:
        """Their keys that make up one of ours, in the order in which they are stacked."""
        path, _, leaf = our_key.rpartition(".")
        found = [
            (row.part, _fill(row.their_path, match))
            for row in self._rows
            if (match := row.ours.fullmatch(path))
        ]
        return [f"{their_path}.{_THEIR_LEAVES.get(leaf, leaf)}" for _, their_path in sorted(found)]

    def _find(self, key: str) -> Place | None:
        path, _, leaf = key.rpartition(".")
        for row in self._rows:
            if match := row.theirs.fullmatch(path):
                return Place(f"{_fill(row.our_path, match)}.{_LEAVES.get(leaf, leaf)}", row.part, row.parts)
        return None


def below(their_prefix: str, our_prefix: str, rows: Rows) -> dict[str, str]:
    """The rows with a prefix on either side."""
    return {their_prefix + theirs: our_prefix + ours for theirs, ours in rows.items()}


def _row(theirs: str, ours: str) -> _Row:
    our_path, _, stacked = ours.partition("@")
    part, parts = (int(number) for number in (stacked or "0/1").split("/"))
    return _Row(_pattern(theirs), _pattern(our_path), theirs, our_path, part, parts)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\#", r"(\d+)"))


def _fill(path: str, match: re.Match[str]) -> str:
    numbers = iter(match.groups())
    return "".join(next(numbers) if character == "#" else character for character in path)
