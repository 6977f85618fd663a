"""How the value of an option is read, from the text of a query or form or from JSON."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

from service.problems import Problem
from service.settings import MAX_BOXES

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")

WHOLE: Literal["whole"] = "whole"  # in place of boxes: the whole picture is one person

Box = tuple[float, float, float, float]  # x, y, width, height in pixels of the upright image


def _bad(name: str, expected: str, value: object) -> Problem:
    shown = str(value)
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    return Problem("bad-option", f"{name} is {shown!r}; expected {expected}", field=name)


def text(name: str, value: Any) -> str:
    """A name."""
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        raise _bad(name, "a name", value)
    return value


def boolean(name: str, value: Any) -> bool:
    """raises: Problem `bad-option`, as all readers."""
    word = str(value).lower()
    if isinstance(value, bool | str) and word in _TRUE + _FALSE:
        return word in _TRUE
    raise _bad(name, "true or false", value)


def number(low: float, high: float) -> Callable[[str, Any], float]:
    """Reads a number of the range, ends included."""

    def read(name: str, value: Any) -> float:
        try:
            number = float(value) if isinstance(value, str | int | float) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if isinstance(value, bool) or not low <= number <= high:
            raise _bad(name, f"a number from {low:g} to {high:g}", value)
        return number

    return read


def integer(low: int, high: int) -> Callable[[str, Any], int]:
    """Reads a whole number of the range, ends included."""
    within = number(low, high)

    def read(name: str, value: Any) -> int:
        number = within(name, value)
        if number != int(number):
            raise _bad(name, f"a whole number from {low} to {high}", value)
        return int(number)

    return read


def boxes(name: str, value: Any) -> tuple[Box, ...] | Literal["whole"]:
    """Boxes with a positive area, or `whole`. raises: also Problem `bad-box`."""
    if value == WHOLE:
        return WHOLE
    expected = f"whole, or a JSON list of at most {MAX_BOXES} boxes [x, y, width, height]"
    try:
        boxes = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise _bad(name, expected, value) from None
    if not isinstance(boxes, list) or len(boxes) > MAX_BOXES:
        raise _bad(name, expected, f"{len(boxes)} boxes" if isinstance(boxes, list) else value)
    return tuple(_box(index, box) for index, box in enumerate(boxes))


def _box(index: int, box: Any) -> Box:
    if not isinstance(box, list) or len(box) != 4 or not all(type(value) in (int, float) for value in box):
        detail = f"box {index} is not a list of four numbers; expected [x, y, width, height] in pixels"
        raise Problem("bad-box", detail, field="boxes", index=index)
    try:
        x, y, width, height = map(float, box)
    except OverflowError:
        x = y = width = height = math.inf
    if not all(map(math.isfinite, (x, y, width, height, x + width, y + height))):
        raise Problem("bad-box", f"box {index} is not finite; give pixels", field="boxes", index=index)
    if width <= 0 or height <= 0:
        detail = (
            f"box {index} has no area: it is {width:g} px wide and {height:g} px high; both must be positive"
        )
        raise Problem("bad-box", detail, field="boxes", index=index)
    return x, y, width, height


def check_boxes_meet_image(boxes: Iterable[Box], width: int, height: int) -> None:
    """raises: Problem `bad-box` for the first box without any pixel of the upright image."""
    for index, (x, y, box_width, box_height) in enumerate(boxes):
        for axis, start, length, side in (("x", x, box_width, width), ("y", y, box_height, height)):
            if start >= side or start + length <= 0:
                detail = (
                    f"box {index} lies outside the image: {axis} from {start:g} to {start + length:g}, but "
                    f"the image has {axis} from 0 to {side}; give boxes in pixels of the upright image"
                )
                raise Problem("bad-box", detail, field="boxes", index=index)
