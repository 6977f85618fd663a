"""Plain values as TOML: the few lines of writing that tomllib, which only reads, leaves to us."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_tables(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """A document of strings, numbers, booleans, lists and tables of these; `None` is left out.

    raises: TypeError for a value that TOML has no form for.
    """
    simple = {
        key: value for key, value in values.items() if not isinstance(value, Mapping) and value is not None
    }
    lines = [f"{_key(key)} = {_value(value)}" for key, value in simple.items()]
    if path and lines:
        lines.insert(0, f"[{'.'.join(map(_key, path))}]")
    blocks = ["\n".join(lines)] if lines else []
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    blocks += [toml_tables(table, (*path, key)).rstrip("\n") for key, table in tables.items()]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(item) for item in value)}]"
    raise TypeError(f"TOML has no form for {value!r}")
