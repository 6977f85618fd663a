"""Flags of `hrformer serve` and `docs/settings.md`, made from the settings class."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from service.settings import PREFIX, Settings


def parse_flags(arguments: Sequence[str]) -> dict[str, str]:
    """The flags given, as text by setting. `--help` and wrong use end the program, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="hrformer serve",
        description="The HTTP service. Every flag is also an environment variable (--max-requests is "
        f"{PREFIX}MAX_REQUESTS) and a line of the TOML file.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, field in Settings.model_fields.items():
        help_text = f"{field.description}; {_kind(field)} (default: {_shown(field)})"
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=help_text)
    return vars(parser.parse_args(arguments))


def settings_page() -> str:
    """`docs/settings.md`."""
    rows = [
        f"| `{name}` | {_kind(field)} | {_shown(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Every setting is an environment variable (`max_requests` is `HRFORMER_MAX_REQUESTS`), a flag",
            "of `hrformer serve` (`--max-requests`) and a line of a TOML file (`max_requests = 256`), which",
            "`--config` or `HRFORMER_CONFIG` names. Flags go before the environment, the environment before",
            "the file. An unknown `HRFORMER_…` variable, a value out of range or a combination that cannot",
            "work is an error at start that names the setting. This page is made from the class in",
            "`service/settings.py`.",
            "",
            "| setting | value | default | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _kind(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(get_args(field.annotation))
    options = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    names = {bool: "true or false", int: "integer", float: "number", Path: "path", str: "text"}
    return names[options[0]] + _range(field)


def _range(field: FieldInfo) -> str:
    low = next(
        (
            rule.ge if isinstance(rule, Ge) else rule.gt
            for rule in field.metadata
            if isinstance(rule, Ge | Gt)
        ),
        None,
    )
    high = next((rule.le for rule in field.metadata if isinstance(rule, Le)), None)
    if low is None:
        return ""
    if high is None:
        return f" from {low}"
    above = any(isinstance(rule, Gt) for rule in field.metadata)
    return f" above {low}, to {high}" if above else f" {low} to {high}"


def _shown(field: FieldInfo) -> str:
    value = field.default
    if value in (None, ()):
        return "none"
    return ",".join(value) if isinstance(value, tuple) else str(value).lower()
