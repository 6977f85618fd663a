"""Dataclass fields become flags with types, defaults and help."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from hrformer.cli.arguments import add_fields, field_docs, from_flags, parse_value


@dataclass(frozen=True)
class Settings:
    """An example."""

    folder: Path  # where the pictures are
    size: tuple[int, int] = (256, 192)  # height, width; 100 % of them
    rate: float = 1e-3
    steps: int | None = None  # by default all
    device: Literal["cpu", "cuda"] = "cpu"  # what computes
    flip: bool = True  # mirrored too
    names: tuple[str, ...] = ()


def parsed(*flags: str) -> Settings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_fields(parser, Settings)
    return from_flags(Settings, parser.parse_args(list(flags)))


def test_fields_without_flags_keep_their_defaults() -> None:
    assert parsed("--folder", "pictures") == Settings(Path("pictures"))


def test_flags_become_values_of_the_annotated_types() -> None:
    settings = parsed(
        *("--folder", "x", "--size", "384x288", "--rate", "2e-4", "--steps", "7"),
        *("--device", "cuda", "--no-flip", "--names", "a,b"),
    )
    assert settings == Settings(Path("x"), (384, 288), 2e-4, 7, "cuda", False, ("a", "b"))


def test_none_is_written_as_a_word() -> None:
    assert parsed("--folder", "x", "--steps", "none").steps is None


def test_a_field_without_default_is_required() -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parsed("--rate", "1")


def test_help_is_the_comment_beside_the_field() -> None:
    parser = argparse.ArgumentParser()
    add_fields(parser, Settings)
    text = " ".join(parser.format_help().split())
    assert "--folder PATH where the pictures are" in text
    assert "--size INT,INT height, width; 100 % of them" in text
    assert "--device CPU|CUDA what computes" in text
    assert "--flip, --no-flip mirrored too" in text


def test_docs_are_read_from_the_source() -> None:
    assert field_docs(Settings)["steps"] == "by default all"
    assert field_docs(Settings)["rate"] == ""


def test_a_class_without_source_has_no_docs() -> None:
    scope: dict[str, Any] = {}
    exec("class Made: size: int = 1  # hidden", scope)
    assert field_docs(scope["Made"]) == {}


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (int, "x", "'x' is no int"),
        (int | None, "x", "'x' is no int"),
        (bool, "maybe", "'Maybe' is none of True, False"),
        (Literal["a", "b"], "c", "'c' is none of a, b"),
        (tuple[int, int], "1x2x3", "'1x2x3' has 3 values, expected 2"),
        (tuple[int, int], "", "'' has 0 values, expected 2"),
    ],
)
def test_a_wrong_value_says_what_was_expected(kind: Any, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_value(kind, text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (bool, "true", True),
        (bool, "FALSE", False),
        (tuple[float, ...], "1,2.5", (1.0, 2.5)),
        (tuple[float, ...], "", ()),
        (int | str, "a", "a"),
        (Literal[1, 2], "2", 2),
    ],
)
def test_values_are_parsed_by_their_annotation(kind: Any, text: str, value: object) -> None:
    assert parse_value(kind, text) == value
