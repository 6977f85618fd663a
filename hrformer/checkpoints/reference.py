"""A folder of reference cases, read into typed values as its README says; nothing in it is executed."""

import gzip
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hrformer.checkpoints.errors import BadReference
from hrformer.checkpoints.fill import KeyShape

MAX_KEYS_BYTES = 64 * 1024**2  # of an unpacked keys file; those of HRFormer-B have 200 kB


T = TypeVar("T")


@dataclass(frozen=True)
class Expected:
    """One tensor of a case: every `stride`-th value of it is stored, the statistics are of the whole."""

    name: str
    shape: tuple[int, ...]
    stride: int
    mean: float
    std: float
    absmax: float


@dataclass(frozen=True)
class Input:
    """A network's input: `amplitude` times the stream of a key, or a picture stored with the case."""

    kind: str  # "rule" or "photo"
    key: str  # of the stream, or the picture's array
    shape: tuple[int, ...]
    amplitude: float = 2.0


@dataclass(frozen=True)
class Case:
    """One run of a whole network."""

    name: str
    family: str
    variant: str
    options: Mapping[str, Any]
    input: Input
    keys: Path
    data: Path
    tolerance: float
    tensors: tuple[Expected, ...]
    parameters: int | None  # trainable numbers of the network; None: not stated
    state_sha256: str | None  # of the filled weights


@dataclass(frozen=True)
class Unit:
    """One run of a part: a block, an exchange module or a fusion."""

    name: str
    family: str
    prefix: str
    options: Mapping[str, Any]
    keys: tuple[KeyShape, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]  # name in units.npz, shape
    tolerance: float


def read_cases(directory: Path) -> list[Case]:
    """The cases of `cases.json`. raises: BadReference if it is not there or not in its format."""
    return _entries(directory / "cases.json", "cases", lambda entry: _case(entry, directory))


def read_units(directory: Path) -> list[Unit]:
    """The units of `units.json`, none if there is no such file. raises: BadReference as `read_cases`."""
    path = directory / "units.json"
    return _entries(path, "units", _unit) if path.exists() else []


def read_keys(path: Path) -> list[KeyShape]:
    """Keys and shapes of a complete state_dict, in order. raises: BadReference if the file is damaged."""
    try:
        with gzip.open(path) as file:
            rows = json.loads(file.read(MAX_KEYS_BYTES))
        return [(_of(str, row[0]), _shape(row[1])) for row in rows]
    except (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError) as error:
        raise BadReference(f"{path} is no list of keys and shapes: {error}") from error


def read_array(path: Path, name: str) -> NDArray[Any]:
    """One array of an npz file. raises: BadReference if file or array is missing, damaged or pickled."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            array: NDArray[Any] = arrays[name]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, ValueError, LookupError, TypeError) as error:
        raise BadReference(f"{path} holds no array {name!r} that can be read: {error}") from error
    if array.dtype.kind not in "fiub":
        raise BadReference(f"{path}: array {name!r} holds no numbers")
    return array


def _entries(path: Path, kind: str, make: Callable[[Mapping[str, Any]], T]) -> list[T]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadReference(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != 1 or not isinstance(content.get(kind), list):
        raise BadReference(f'{path} is not {{"format": 1, "{kind}": […]}}')
    return [_parsed(make, entry, f"{path}: entry {i}") for i, entry in enumerate(content[kind])]


def _parsed(make: Callable[[Mapping[str, Any]], T], entry: Any, where: str) -> T:
    try:
        return make(_of(dict, entry))
    except KeyError as error:
        raise BadReference(f"{where} has no field {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise BadReference(f"{where} is not in the documented form: {error}") from error


def _case(entry: Mapping[str, Any], directory: Path) -> Case:
    parameters, sha256 = entry.get("parameters"), entry.get("state_sha256")
    return Case(
        name=_of(str, entry["name"]),
        family=_of(str, entry["family"]),
        variant=_of(str, entry["variant"]),
        options=_of(dict, entry["options"]),
        input=_input(entry["input"]),
        keys=_inside(directory, entry["keys"]),
        data=_inside(directory, entry["data"]),
        tolerance=_number(entry["tolerance"]),
        tensors=tuple(_expected(tensor) for tensor in _of(list, entry["tensors"])),
        parameters=None if parameters is None else _of(int, parameters),
        state_sha256=None if sha256 is None else _of(str, sha256),
    )


def _unit(entry: Mapping[str, Any]) -> Unit:
    return Unit(
        name=_of(str, entry["name"]),
        family=_of(str, entry["family"]),
        prefix=_of(str, entry["prefix"]),
        options=_of(dict, entry["options"]),
        keys=tuple((_of(str, row[0]), _shape(row[1])) for row in _of(list, entry["keys"])),
        inputs=tuple(_input(item) for item in _of(list, entry["inputs"])),
        outputs=tuple((_of(str, o["name"]), _shape(o["shape"])) for o in _of(list, entry["outputs"])),
        tolerance=_number(entry["tolerance"]),
    )


def _input(entry: Any) -> Input:
    kind = entry["kind"]
    if kind not in ("rule", "photo"):
        raise ValueError(f"an input is a rule or a photo, not {kind!r}")
    key = _of(str, entry["key" if kind == "rule" else "array"])
    return Input(kind, key, _shape(entry["shape"]), _number(entry.get("amplitude", 2.0)))


def _expected(entry: Any) -> Expected:
    stride = _of(int, entry["stride"])
    if stride < 1:
        raise ValueError(f"a stride is at least 1, not {stride}")
    statistics = (_number(entry[name]) for name in ("mean", "std", "absmax"))
    return Expected(_of(str, entry["name"]), _shape(entry["shape"]), stride, *statistics)


def _inside(directory: Path, relative: Any) -> Path:
    path = PurePosixPath(_of(str, relative))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} leads out of the folder")
    if not (directory / path).is_file():
        raise ValueError(f"there is no file {path}")
    return directory / path


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"expected {kind.__name__}, not {value!r:.60}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"expected a finite number, not {value!r:.60}")
    return float(value)


def _shape(value: Sequence[Any]) -> tuple[int, ...]:
    shape = tuple(_of(int, side) for side in _of(list, value))
    if any(side < 0 for side in shape):
        raise ValueError(f"a shape has no negative side: {shape}")
    return shape
