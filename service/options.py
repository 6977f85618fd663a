"""Options of a request → typed values, once. Past this point nothing asks again."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.requests import Request

from hrformer.engine.search import Search
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
    boxes: tuple[Box, ...] | Literal["whole"] | None  # None: people are found first
    box_threshold: float | None  # 0 to 1; the model's own when None
    max_people: int  # 1 to 64
    keypoint_threshold: float  # 0 to 1
    flip_test: bool
    format: str | None  # by Accept when None
    timing: bool

    @property
    def search(self) -> Search:
        return Search(self.box_threshold, self.max_people)


@dataclass(frozen=True)
class PeopleOptions:
    """Options of `/people`."""

    model: str | None  # the default of the task when None
    box_threshold: float | None  # 0 to 1; the model's own when None
    max_people: int  # 1 to 64
    format: str | None  # by Accept when None
    timing: bool

    @property
    def search(self) -> Search:
        return Search(self.box_threshold, self.max_people)


@dataclass(frozen=True)
class SegmentOptions:
    """Options of `/segment`."""

    model: str | None  # the default of the task when None
    format: str | None  # by Accept when None
    timing: bool


def query_of(request: Request) -> list[tuple[str, str]]:
    """Names and values in the query string, in order. Starlette makes two maps of them besides."""
    return parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def read_pose_options(query: Iterable[tuple[str, str]], fields: Iterable[tuple[str, Any]]) -> PoseOptions:
    """raises: Problem `unknown-option`, `conflicting-option`, `bad-option` or `bad-box`."""
    return PoseOptions(**_values(POSE, [*query, *fields]))


def read_people_options(query: Iterable[tuple[str, str]], fields: Iterable[tuple[str, Any]]) -> PeopleOptions:
    """raises: Problem `unknown-option`, `conflicting-option` or `bad-option`."""
    return PeopleOptions(**_values(PEOPLE, [*query, *fields]))


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

_BOX_THRESHOLD = Option(
    "box_threshold",
    number(0, 1),
    None,
    _SHARE,
    "smallest score of a found box; by default the model's own, which `/models` tells; given boxes are kept",
)
_MAX_PEOPLE = Option(
    "max_people",
    integer(1, MAX_PEOPLE),
    Search().max_people,
    {"type": "integer", "minimum": 1, "maximum": MAX_PEOPLE},
    "at most so many people are found, best first; given boxes are kept",
)

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
            "one for each person; `whole` for the whole picture; by default people are found first, or the "
            "whole picture is taken where no model for people is served",
        ),
        _BOX_THRESHOLD,
        _MAX_PEOPLE,
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
PEOPLE = {option.name: option for option in (_MODEL, _BOX_THRESHOLD, _MAX_PEOPLE, _FORMAT, _TIMING)}
SEGMENT = {option.name: option for option in (_MODEL, _FORMAT, _TIMING)}
