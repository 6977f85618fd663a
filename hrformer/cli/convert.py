"""`hrformer convert`: a published or trained checkpoint → a weight file and an entry of the manifest."""

import argparse
import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hrformer.cli.arguments import add_fields, from_flags, parse_value

if TYPE_CHECKING:
    from hrformer.checkpoints.convert import Conversion
    from hrformer.checkpoints.manifest import Entry
    from hrformer.modeling.network import Network

DESCRIPTION = """\
Reads a checkpoint (.pth or .safetensors) of the authors' pose, segmentation or classification network, or of
mmpose 1.x, and writes NAME.safetensors and its entry in manifest.toml into the folder DIR. Family, variant,
window, joints and classes are seen from the keys. Every key must be known and none missing. No code in the
file is run. A weight file that `hrformer train` wrote describes itself, and keeps its figures; with --average
the weights are the mean of several such files, which nobody has measured yet."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def parser() -> argparse.ArgumentParser:
    """The flags; those about the network come from the fields of `Conversion`."""
    from hrformer.checkpoints.convert import Conversion

    p = argparse.ArgumentParser(
        "hrformer convert", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("source", metavar="SOURCE", type=Path, help="the checkpoint")
    p.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the manifest")
    p.add_argument("--name", help="of the model (default: hrformer-VARIANT-TASK)")
    p.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        help="of the matrices in the file (default: float32, of a trained one its own)",
    )
    p.add_argument(
        "--average",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="another run's weights, that went on from the same state; may be repeated",
    )
    p.add_argument("--input-size", metavar="HEIGHTxWIDTH", type=_size, help="that the model was trained for")
    p.add_argument("--labels", help="name of the joint set or of the classes")
    p.add_argument("--description", help="a sentence on the model")
    p.add_argument("--default", action="store_true", help="make it the default model of its task")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    add_fields(p, Conversion)
    return p


def main(argv: list[str]) -> int:
    """Converts and says what came out; the file and the manifest are written when all has been checked."""
    arguments = parser().parse_args(argv)
    from hrformer.checkpoints.manifest import MANIFEST, write_entry
    from hrformer.checkpoints.save import save_entry

    if arguments.name and not NAME.fullmatch(arguments.name):
        raise ValueError(f"{arguments.name!r} is no name; use letters, digits, dots, - and _")
    network, entry, origin = _read(arguments)
    entry = replace(
        entry,
        labels=arguments.labels or entry.labels,
        description=arguments.description or entry.description,
        input_sizes=(arguments.input_size,) if arguments.input_size else entry.input_sizes,
    )
    entry = save_entry(network, entry)
    write_entry(entry, arguments.output / MANIFEST, default=arguments.default)
    if arguments.json:
        print(
            json.dumps(
                {"name": entry.name, "family": origin, "file": str(entry.file), "sha256": entry.sha256}
            )
        )
    else:
        print(
            f"{entry.name}: {origin}, {entry.task}, {entry.variant} → {entry.file} (SHA-256 {entry.sha256})"
        )
    return 0


def _read(arguments: argparse.Namespace) -> "tuple[Network, Entry, str]":
    """The network in the file, its entry to be written, and where it comes from."""
    from hrformer.checkpoints.convert import Conversion
    from hrformer.checkpoints.manifest import describes_itself

    conversion = from_flags(Conversion, arguments)
    if not describes_itself(arguments.source):
        if arguments.average:
            raise ValueError(f"{arguments.source} was not trained here; --average takes no published weights")
        return _published(arguments, conversion)
    if conversion != Conversion():
        flags = ", ".join("--" + field.name.replace("_", "-") for field in fields(Conversion))
        raise ValueError(f"{arguments.source} describes itself; {flags} are for published checkpoints")
    return _trained(arguments)


def _trained(arguments: argparse.Namespace) -> "tuple[Network, Entry, str]":
    from hrformer.checkpoints.average import average
    from hrformer.checkpoints.load import load_network
    from hrformer.checkpoints.manifest import entry_of_file

    entries = [entry_of_file(file) for file in (arguments.source, *arguments.average)]
    name = arguments.name or f"hrformer-{entries[0].variant}-{entries[0].task}"
    entry = replace(
        entries[0],
        name=name,
        file=arguments.output.resolve() / f"{name}.safetensors",
        precision=arguments.dtype or entries[0].precision,
    )
    if len(entries) == 1:
        return load_network(entries[0]), entry, "trained here"
    return average(entries), replace(entry, metrics={}), f"mean of {len(entries)} trained here"


def _published(arguments: argparse.Namespace, conversion: "Conversion") -> "tuple[Network, Entry, str]":
    from hrformer.checkpoints.configuration import task_of, variant_of
    from hrformer.checkpoints.convert import convert, entry_for

    network, family = convert(arguments.source, conversion)
    name = arguments.name or f"hrformer-{variant_of(network.config.backbone)}-{task_of(network.config)}"
    dtype = arguments.dtype or "float32"
    return network, entry_for(network, family, name, arguments.output, dtype), family.name


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = parse_value(tuple[int, int], text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write it as 256x192") from error
    return height, width
