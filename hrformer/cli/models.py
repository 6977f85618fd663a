"""`hrformer models`: the models of the manifest."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrformer.checkpoints.manifest import Entry, default_names, read_manifest
from hrformer.cli.table import table

FIGURES = 3  # of each model in the table, the deciding one first; --json gives all


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser("hrformer models", description="Lists the models at hand.")
    p.add_argument(
        "--manifest", type=Path, help="manifest.toml (default: that of HRFORMER_WEIGHTS or weights/)"
    )
    p.add_argument("--json", action="store_true", help="print the list as JSON")
    return p


def main(argv: list[str]) -> int:
    """Prints a line, or an object, for each model."""
    arguments = parser().parse_args(argv)
    entries, defaults = read_manifest(arguments.manifest), default_names(arguments.manifest)
    if arguments.json:
        print(json.dumps([_values(entry, defaults) for entry in entries.values()], indent=2))
        return 0
    heads = ("name", "task", "default", "variant", "input", "precision", "labels", "measured")
    print(table(heads, [_row(entry, defaults) for entry in entries.values()]))
    return 0


def _row(entry: Entry, defaults: Mapping[str, str]) -> tuple[str, ...]:
    figures = [item for item in entry.metrics.items() if isinstance(item[1], float)][:FIGURES]
    measured = ", ".join(f"{name} {value}" for name, value in figures)
    sizes = " ".join(f"{height}x{width}" for height, width in entry.input_sizes)
    default = "yes" if defaults.get(entry.task) == entry.name else "no"
    return entry.name, entry.task, default, entry.variant, sizes, entry.precision, entry.labels, measured


def _values(entry: Entry, defaults: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": entry.name,
        "task": entry.task,
        "is_default": defaults.get(entry.task) == entry.name,
        "variant": entry.variant,
        "file": str(entry.file),
        "sha256": entry.sha256,
        "input_sizes": entry.input_sizes,
        "precision": entry.precision,
        "labels": entry.labels,
        "metrics": dict(entry.metrics),
        "description": entry.description,
    }
