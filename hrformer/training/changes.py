"""`field=value` changes of a recipe, or of any dataclass of dataclasses."""

import ast
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal


def change(value: Any, changes: Sequence[str]) -> Any:
    """A dataclass with `field=value` or `field.field=value` changes; values are Python literals.

    raises: ValueError if a field is unknown, or its value of another type than before.
    """
    for text in changes:
        path, separator, literal = text.partition("=")
        if not separator:
            raise ValueError(f"{text!r} is no change; expected field=value")
        value = _changed(value, path.split("."), literal, path)
    return value


def _changed(value: Any, path: list[str], literal: str, whole: str) -> Any:
    known = [f.name for f in fields(value)] if is_dataclass(value) else []
    if path[0] not in known:
        there = f"fields here are {', '.join(known)}" if known else f"{value!r} has none"
        raise ValueError(f"there is no field {whole!r}; {there}")
    old = getattr(value, path[0])
    if len(path) > 1:
        new = _changed(old, path[1:], literal, whole)
    elif is_dataclass(old):
        raise ValueError(
            f"{whole} has fields of its own; set one of them, as {whole}.{fields(old)[0].name}=…"
        )
    else:
        new = _parsed(literal, old, typing.get_type_hints(type(value))[path[0]], whole)
    return replace(value, **{path[0]: new})


def _parsed(literal: str, old: Any, annotation: Any, whole: str) -> Any:
    """The literal as a value that can take the place of the old one."""
    try:
        new = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        new = literal
    if isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool):
        new = float(new)
    if type(new) is not type(old):
        raise ValueError(f"{whole} is {old!r}; {literal!r} is not of the same type")
    options = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal and new not in options:
        raise ValueError(f"{whole} is one of {', '.join(map(str, options))}; not {literal!r}")
    return new
