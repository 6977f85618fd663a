"""The list of models: `manifest.toml` beside the weight files, one table for each model.

format = 1

[defaults]
pose = "hrformer-small-pose"

[models.hrformer-small-pose]
task = "pose"
variant = "small"
file = "hrformer-small-pose.safetensors"
sha256 = "3f0c…"
…
[models.hrformer-small-pose.backbone]
channels = [32, 64, 128, 256]
…
"""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hrformer.checkpoints.configuration import as_tuples, config_from_values, config_to_values, from_values
from hrformer.checkpoints.errors import BadManifest, UnknownModel
from hrformer.checkpoints.toml import toml_tables
from hrformer.checkpoints.weight_file import read_header, sha256_of
from hrformer.geometry.palettes import Colour, Palette, named_palette, palette_of
from hrformer.modeling.config import ClassificationHeadConfig, NetworkConfig, SegmentationHeadConfig

FORMAT = 1
VERSION_DIGITS = 12  # of the weights' SHA-256
MANIFEST = "manifest.toml"
METADATA_KEY = "hrformer"  # of a weight file's metadata: its entry as JSON


@dataclass(frozen=True)
class PixelFormat:
    """What the network expects of a picture in 0..1: `(pixel - mean) / std`, channels in this order."""

    order: str = "rgb"  # "rgb" or "bgr": the authors' segmentation networks read B, G, R
    mean: tuple[float, float, float] = (
        0.485,
        0.456,
        0.406,
    )  # of the first, second and third channel in that order
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Entry:
    """One model of the manifest."""

    name: str
    task: str  # "pose", "segmentation", "classification" or "people"
    variant: str  # "tiny", "small", "base" or "custom"
    file: Path  # safetensors; absolute once read
    sha256: str  # of the file, hexadecimal
    input_sizes: tuple[tuple[int, int], ...]  # (height, width), the usual one first
    precision: str  # of the matrices in the file: "float32" or "float16"; vectors are always float32
    config: NetworkConfig
    labels: str  # name of the joint set or of the classes with their colours
    pixels: PixelFormat = field(default_factory=PixelFormat)
    metrics: Mapping[str, float | str] = field(default_factory=dict)  # measured quality, and on what
    decode: Mapping[str, str | float | bool] = field(default_factory=dict)  # how to read the network's output
    description: str = ""
    classes: tuple[str, ...] = ()  # names in the order of the outputs, where `labels` names no palette
    colours: tuple[Colour, ...] = ()  # of these classes in a drawing, where they have some of their own

    @property
    def palette(self) -> Palette:
        """Names and colours of the classes that the network tells apart; numbered where it has no names."""
        head = self.config.head
        assert isinstance(head, SegmentationHeadConfig | ClassificationHeadConfig)
        if self.classes:
            return named_palette(self.classes, self.colours)
        return palette_of(self.labels, head.classes)

    @property
    def version(self) -> str:
        """What tells the weights of a model from others of its name."""
        return self.sha256[:VERSION_DIGITS]


def weights_directory() -> Path:
    """Where the manifest and the weight files are: `HRFORMER_WEIGHTS`, else `weights/` beside the package."""
    chosen = os.environ.get("HRFORMER_WEIGHTS")
    return Path(chosen).expanduser() if chosen else Path(__file__).resolve().parents[2] / "weights"


def read_manifest(path: Path | None = None) -> dict[str, Entry]:
    """All models by name, in the order of the file.

    path: of the manifest; `manifest.toml` of `weights_directory()` if None.
    raises: BadManifest if the file is not there or not in its format.
    """
    path = path or weights_directory() / MANIFEST
    models = _tables(path).get("models", {})
    return {name: _entry(name, table, path) for name, table in models.items()}


def default_model(task: str, path: Path | None = None) -> Entry:
    """The model that serves a task when none is named. raises: UnknownModel if the manifest names none."""
    path = path or weights_directory() / MANIFEST
    name = default_names(path).get(task)
    if name is None:
        raise UnknownModel(f"{path} names no default model for {task}; name one of its models")
    return find(name, path)


def default_names(path: Path | None = None) -> dict[str, str]:
    """The names of the default models by task, as far as the manifest names them.

    path, raises: as `read_manifest`.
    """
    return dict(_tables(path or weights_directory() / MANIFEST).get("defaults", {}))


def default_people_model() -> Entry | None:
    """The model that finds people where none is named; None where no manifest names one."""
    path = weights_directory() / MANIFEST
    name = default_names(path).get("people") if path.exists() else None
    return find(name, path) if name else None


def find(name_or_path: str | Path, manifest: Path | None = None) -> Entry:
    """The model of this name in the manifest, or the one in this weight file.

    raises: UnknownModel with the nearest names if there is neither.
    """
    path = Path(name_or_path)
    if path.suffix == ".safetensors":
        return entry_of_file(path)
    entries = read_manifest(manifest)
    if str(name_or_path) not in entries:
        near = difflib.get_close_matches(str(name_or_path), entries, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(entries) or 'none'}"
        raise UnknownModel(f"there is no model {str(name_or_path)!r}: {hint}")
    return entries[str(name_or_path)]


def describes_itself(path: Path) -> bool:
    """Whether this is a weight file that says what network it is for, as all that are written here do.

    raises: UnreadableCheckpoint if it is a damaged safetensors file.
    """
    return path.suffix == ".safetensors" and METADATA_KEY in read_header(path).get("__metadata__", {})


def entry_of_file(path: Path) -> Entry:
    """The model as the weight file itself describes it; its name is the file's.

    raises: UnreadableCheckpoint if the file is damaged, BadManifest if it does not describe itself.
    """
    description = read_header(path).get("__metadata__", {}).get(METADATA_KEY)
    if description is None:
        raise BadManifest(f"{path} does not say what network it is for; make it with `hrformer convert`")
    return entry_from_values(path.stem, path.resolve(), sha256_of(path), json.loads(description))


def write_entry(entry: Entry, manifest: Path, *, default: bool = False) -> None:
    """Adds the model to the manifest, or replaces the one of its name; `default` makes it its task's default.

    The weight file must lie in the manifest's folder or below. Comments of the file are lost.
    """
    tables: dict[str, Any] = _tables(manifest) if manifest.exists() else {"format": FORMAT}
    tables.setdefault("defaults", {})
    if default:
        tables["defaults"][entry.task] = entry.name
    tables.setdefault("models", {})[entry.name] = _table(entry, manifest)
    _replace_file(manifest, toml_tables(tables))


def entry_to_values(entry: Entry) -> dict[str, Any]:
    """The entry as strings, numbers, lists and tables: all but its name, file and SHA-256."""
    values = {f.name: getattr(entry, f.name) for f in fields(entry)}
    for known_elsewhere in ("name", "file", "sha256", "config"):
        del values[known_elsewhere]
    for optional in ("classes", "colours"):
        if not values[optional]:
            del values[optional]
    network = config_to_values(entry.config)
    return values | {"pixels": asdict(entry.pixels), "backbone": network["backbone"], "head": network["head"]}


def entry_from_values(name: str, file: Path, sha256: str, values: Mapping[str, Any]) -> Entry:
    """The inverse of `entry_to_values`. raises: BadManifest, naming the field that is wrong."""
    rest = dict(values)
    where = f"model {name!r}"
    try:
        config = config_from_values(rest["task"], rest.pop("backbone"), rest.pop("head"))
    except KeyError as error:
        raise BadManifest(f"{where} has no field {error.args[0]!r}") from error
    pixels = from_values(PixelFormat, rest.pop("pixels", {}), f"{where}, pixels")
    rest |= {key: as_tuples(rest.get(key, [])) for key in ("input_sizes", "classes", "colours")}
    found = {"name": name, "file": file, "sha256": sha256, "config": config, "pixels": pixels}
    return _entry_of(found | rest, where)


def _entry_of(values: Mapping[str, Any], where: str) -> Entry:
    known = {f.name for f in fields(Entry)}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise BadManifest(
            f"{where} has an unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    try:
        entry = Entry(**values)
    except TypeError as error:
        raise BadManifest(f"{where} is incomplete: {error}") from error
    for what, found, expected in (
        ("classes", len(entry.classes), getattr(entry.config.head, "classes", 0)),
        ("colours", len(entry.colours), len(entry.classes)),
    ):
        if found not in (0, expected):
            raise BadManifest(f"{where} names {found} {what}; expected {expected} or none")
    return entry


def _entry(name: str, table: Mapping[str, Any], path: Path) -> Entry:
    values = dict(table)
    try:
        file, sha256 = path.parent.resolve() / values.pop("file"), values.pop("sha256")
    except KeyError as error:
        raise BadManifest(f"{path}: model {name!r} has no field {error.args[0]!r}") from error
    return entry_from_values(name, file, sha256, values)


def _table(entry: Entry, manifest: Path) -> dict[str, Any]:
    relative = entry.file.resolve().relative_to(manifest.parent.resolve())
    return {"file": relative.as_posix(), "sha256": entry.sha256} | entry_to_values(entry)


def _tables(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadManifest(
            f"there is no manifest {path}; set HRFORMER_WEIGHTS to the folder that holds manifest.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadManifest(f"{path} is not a manifest: {error}") from error
    if tables.get("format") != FORMAT:
        raise BadManifest(f"{path} is of format {tables.get('format')!r}; this version reads format {FORMAT}")
    return tables


def _replace_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
