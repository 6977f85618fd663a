"""Pictures with a class for every pixel: `images/NAME.jpg`, `masks/NAME.png`, `SPLIT.txt`, `classes.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from hrformer.data.errors import BadDataset

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class MaskSample:
    """A picture and its mask."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class MaskFolder:
    """One split of a set, with the names of its classes in the order of their indices."""

    classes: tuple[str, ...]
    background: int | None  # index of the class that stands for everything else
    ignore: int  # value of pixels without a label
    samples: tuple[MaskSample, ...]


def read_mask_folder(directory: Path, split: str) -> MaskFolder:
    """The pictures that `SPLIT.txt` lists, one name a line without suffix.

    `classes.json` may point to another folder of pictures in `images`.
    raises: BadDataset if a file is missing or not in its format; it is named.
    """
    description = _read_classes(directory / "classes.json")
    listing = directory / f"{split}.txt"
    if not listing.is_file():
        raise BadDataset(f"no list of pictures {listing}; expected one name a line, without suffix")
    images = directory / description.get("images", "images")
    names = listing.read_text().split()
    return MaskFolder(
        classes=tuple(entry["name"] for entry in description["classes"]),
        background=description.get("background_index"),
        ignore=description.get("ignore_index", 255),
        samples=tuple(MaskSample(_image(images, name), _mask(directory, name)) for name in names),
    )


def read_mask(file: Path, classes: int, ignore: int) -> npt.NDArray[np.uint8]:
    """Class indices `(height, width)` uint8 of a palette or grey PNG.

    raises: BadDataset if the file cannot be read, or a value is neither a class nor `ignore`.
    """
    try:
        with Image.open(file) as image:
            if image.mode not in ("P", "L"):
                raise BadDataset(
                    f"{file} has mode {image.mode}; expected a palette or grey PNG of class indices"
                )
            indices = np.array(image)
    except OSError as error:
        raise BadDataset(f"{file} cannot be read as a picture") from error
    if bad := sorted(set(np.unique(indices).tolist()) - set(range(classes)) - {ignore}):
        raise BadDataset(
            f"{file} has the value {bad[0]}; expected 0 to {classes - 1}, or {ignore} for no label"
        )
    return indices


def _read_classes(file: Path) -> Mapping[str, Any]:
    try:
        description: Mapping[str, Any] = json.loads(file.read_bytes())
        names = [entry["name"] for entry in description["classes"]]
    except FileNotFoundError as error:
        raise BadDataset(f"no {file}; expected the names of the classes") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataset(f"{file} is not a list of classes: {error!r}") from error
    if not names:
        raise BadDataset(f"{file} names no class")
    return description


def _image(images: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        if (file := images / f"{name}{suffix}").is_file():
            return file
    raise BadDataset(f"no picture {images / name} with one of the suffixes {', '.join(SUFFIXES)}")


def _mask(directory: Path, name: str) -> Path:
    file = directory / "masks" / f"{name}.png"
    if not file.is_file():
        raise BadDataset(f"no mask {file}")
    return file
