"""`hrformer inspect`: what a model, a weight file or a published checkpoint is made of."""

import argparse
import json
from pathlib import Path
from typing import Any

from hrformer.cli.arguments import parse_value


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer inspect", description="Configuration, parameters, multiply-adds and keys of a model."
    )
    p.add_argument(
        "model", metavar="FILE|NAME", help="a model's name, a .safetensors or a published .pth file"
    )
    p.add_argument("--size", metavar="HEIGHTxWIDTH", help="of the picture that multiply-adds are counted for")
    p.add_argument("--keys", action="store_true", help="list every key with its shape")
    p.add_argument("--json", action="store_true", help="print as JSON")
    return p


def main(argv: list[str]) -> int:
    """Prints what it found."""
    arguments = parser().parse_args(argv)
    size = parse_value(tuple[int, int], arguments.size) if arguments.size else None
    found = _found(arguments.model, size)
    if not arguments.keys:
        found["keys"] = len(found["keys"])
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def _found(model: str, size: tuple[int, int] | None) -> dict[str, Any]:
    from hrformer.checkpoints.configuration import config_to_values, task_of
    from hrformer.checkpoints.convert import INPUT_SIZES, convert
    from hrformer.checkpoints.keys import shapes_of
    from hrformer.checkpoints.load import load_network
    from hrformer.checkpoints.manifest import find
    from hrformer.modeling.cost import multiply_adds, parameter_count

    found: dict[str, Any] = {"model": model}
    if Path(model).suffix in (".pth", ".pt"):
        network, family = convert(Path(model))
        found["family"] = family.name
        size = size or INPUT_SIZES[task_of(network.config)]
    else:
        entry = find(model)
        network = load_network(entry)
        found |= {"file": str(entry.file), "sha256": entry.sha256, "precision": entry.precision}
        size = size or entry.input_sizes[0]
    cost = multiply_adds(network, *size)
    return found | {
        "parameters": parameter_count(network),
        "size": f"{size[0]}x{size[1]}",
        "multiply_adds": cost.total,
        "multiply_adds_without_padding": cost.without_padding,
        **config_to_values(network.config),
        "keys": {key: list(shape) for key, shape in shapes_of(network.state_dict()).items()},
    }


def _print(found: dict[str, Any], indent: str = "") -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, indent + "  ")
        else:
            shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
            print(f"{indent}{name:<30} {shown}")
