"""Fields of a dataclass as flags, made from their annotations and the comments beside them."""

import argparse
import ast
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, TypeVar

T = TypeVar("T")


def add_fields(parser: argparse.ArgumentParser, cls: type[Any]) -> None:
    """A flag for each field: `window: int | None = None  # tokens` → `--window INT`, with this help.

    A field without default makes a required flag, a `bool` one a pair `--flag` and `--no-flag`.
    """
    kinds, docs = typing.get_type_hints(cls), field_docs(cls)
    for field in fields(cls):
        _add_flag(parser, field, kinds[field.name], docs.get(field.name, ""))


def from_flags(cls: type[T], arguments: argparse.Namespace) -> T:
    """The dataclass with the values that flags of `add_fields` gave, and its defaults elsewhere."""
    names = (field.name for field in fields(cls))  # type: ignore[arg-type]
    return cls(**{name: getattr(arguments, name) for name in names if hasattr(arguments, name)})


def parse_value(kind: Any, text: str) -> Any:
    """The text as a value of an annotation: str, int, float, bool, Path, Literal, `X | None`, tuple.

    Tuples are written with commas or, as sizes are, with an x: `256x192`.
    raises: ValueError that says what was expected.
    """
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return _one_of(options, text)
    if origin in (typing.Union, types.UnionType):
        return _any_of(options, text)
    if origin is tuple:
        return _tuple(options, text)
    if kind is bool:
        return _one_of((True, False), text.capitalize())
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is no {_name(kind)}") from None


def field_docs(cls: type[Any]) -> dict[str, str]:
    """The comment on the line of each field; none where the source is not at hand."""
    try:
        source = inspect.cleandoc(inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    lines = source.splitlines()
    docs = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            end = node.end_lineno or node.lineno
            docs[node.target.id] = lines[end - 1][node.end_col_offset or 0 :].partition("#")[2].strip()
    return docs


def _add_flag(parser: argparse.ArgumentParser, field: Field[Any], kind: Any, doc: str) -> None:
    flag = "--" + field.name.replace("_", "-")
    required = field.default is MISSING and field.default_factory is MISSING
    if kind is bool:
        parser.add_argument(
            flag,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            required=required,
            help=doc,
        )
        return
    parser.add_argument(
        flag,
        type=_parser_of(kind),
        metavar=_name(kind).upper(),
        default=argparse.SUPPRESS,
        required=required,
        help=doc.replace("%", "%%"),
    )


def _parser_of(kind: Any) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return parse_value(kind, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _one_of(options: tuple[Any, ...], text: str) -> Any:
    for option in options:
        if str(option) == text:
            return option
    raise ValueError(f"{text!r} is none of {', '.join(map(str, options))}")


def _any_of(kinds: tuple[Any, ...], text: str) -> Any:
    if type(None) in kinds and text.lower() == "none":
        return None
    problems = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return parse_value(kind, text)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError("; ".join(problems))


def _tuple(kinds: tuple[Any, ...], text: str) -> tuple[Any, ...]:
    parts = [part.strip() for part in text.replace("x", ",").split(",")] if text else []
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(parts)
    if len(parts) != len(kinds):
        raise ValueError(f"{text!r} has {len(parts)} values, expected {len(kinds)}")
    return tuple(parse_value(kind, part) for kind, part in zip(kinds, parts, strict=True))


def _name(kind: Any) -> str:
    """What stands for a value in a usage line: `int`, `added|stored`, `int×int`."""
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, options))
    if typing.get_origin(kind) is tuple:
        return ",".join("…" if option is Ellipsis else _name(option) for option in options)
    return "|".join(map(_name, options)) if options else str(getattr(kind, "__name__", kind))
