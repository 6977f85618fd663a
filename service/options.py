"""Options of a request → typed values, once. Past this point nothing asks again."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from service.option_values import Box, boolean, boxes, integer, number, text
from service.problems import Problem
from service.settings import MAX_BOXES

MAX_PEOPLE = 64


@dataclass(frozen=True)
class Option:
    """One option: how its text or JSON value is read, and what the API document says of it."""

    name: str
    read: Callable[[str, Any], Any]
    default: Any
    schema: dict[str, Any]  # JSON schema
    meaning: str


@dataclass(frozen=True)
class PoseOptions:
    """Options of `/pose`."""

    model: str | None  # the default of the task when None
    boxes: tuple[Box, ...] | None  # None: the whole picture
    box_threshold: float  # 0 to 1
    max_people: int  # 1 to 64
    keypoint_threshold: float  # 0 to 1
    flip_test: bool
    format: str | None  # by Accept when None
    timing: bool


@dataclass(frozen=True)
class SegmentOptions:
    """Options of `/segment`."""

    model: str | None  # the default of the task when None
    format: str | None  # by Accept when None
    timing: bool


def read_pose_options(query: Iterable[tuple[str, str]], fields: Iterable[tuple[str, Any]]) -> PoseOptions:
    """raises: Problem `unknown-option`, `conflicting-option`, `bad-option` or `bad-box`."""
    return PoseOptions(**_values(POSE, [*query, *fields]))


def read_segment_options(
    query: Iterable[tuple[str, str]], fields: Iterable[tuple[str, Any]]
) -> SegmentOptions:
    """raises: Problem `unknown-option`, `conflicting-option` or `bad-option`."""
    return SegmentOptions(**_values(SEGMENT, [*query, *fields]))


def _values(options: dict[str, Option], given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, raw in given:
        if name not in options:
            raise _unknown(name, options)
        value = options[name].read(name, raw)
        if name in found and found[name] != value:
            detail = f"{name} is given twice with different values; give it once"
            raise Problem("conflicting-option", detail, field=name)
        found[name] = value
    return {name: found.get(name, option.default) for name, option in options.items()}


def _unknown(name: str, options: dict[str, Option]) -> Problem:
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(options)}"
    return Problem("unknown-option", f"there is no option {name[:64]!r} here: {hint}", field=name[:64])


_SHARE = {"type": "number", "minimum": 0, "maximum": 1}

_MODEL = Option("model", text, None, {"type": "string"}, "name from `/models`; by default that of the task")
_FORMAT = Option(
    "format", text, None, {"type": "string"}, "form of the answer; by default what `Accept` asks for"
)
_TIMING = Option("timing", boolean, False, {"type": "boolean"}, "add stage times in ms to a JSON answer")

POSE = {
    option.name: option
    for option in (
        _MODEL,
        Option(
            "boxes",
            boxes,
            None,
            {"type": "string"},
            f"JSON list of at most {MAX_BOXES} boxes `[x, y, width, height]` in pixels of the upright image, "
            "one for each person; `whole` for the whole picture, which is also the default",
        ),
        Option(
            "box_threshold", number(0, 1), 0.3, _SHARE, "smallest score of a found box; given boxes are kept"
        ),
        Option(
            "max_people",
            integer(1, MAX_PEOPLE),
            32,
            {"type": "integer", "minimum": 1, "maximum": MAX_PEOPLE},
            "at most so many people are found; given boxes are kept",
        ),
        Option(
            "keypoint_threshold",
            number(0, 1),
            0.3,
            _SHARE,
            "keypoints of a smaller score are marked as not visible, and not drawn",
        ),
        Option(
            "flip_test",
            boolean,
            False,
            {"type": "boolean"},
            "average with the mirrored crop: better, twice the time",
        ),
        _FORMAT,
        _TIMING,
    )
}
SEGMENT = {option.name: option for option in (_MODEL, _FORMAT, _TIMING)}
