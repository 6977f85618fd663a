"""Pictures with a class for every pixel: `images/NAME.jpg`, `masks/NAME.png`, `SPLIT.txt`, `classes.json`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from hrformer.data.errors import BadDataset, UnreadablePicture
from hrformer.data.unreadable import LeftOut

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
NO_LABEL = 255  # where classes.json does not say
MAX_CLASSES = 254


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
    colours: tuple[tuple[int, int, int], ...] = ()  # of the classes, red, green and blue, if all have one


def read_mask_folder(directory: Path, split: str, left_out: LeftOut | None = None) -> MaskFolder:
    """The pictures that `SPLIT.txt` lists, one name a line without suffix.

    `classes.json` may point to another folder of pictures in `images`.
    raises: BadDataset if a file is missing or not in its format; it is named. A missing picture or mask may
        be left out.
    """
    description = _read_classes(directory / "classes.json")
    listing = directory / f"{split}.txt"
    if not listing.is_file():
        raise BadDataset(f"no list of pictures {listing}; expected one name a line, without suffix")
    images = directory / description.get("images", "images")
    names = [line.strip() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names:
        raise BadDataset(f"{listing} lists no picture; expected one name a line, without suffix")
    ignore = description.get("ignore_index")
    return MaskFolder(
        classes=tuple(entry["name"] for entry in description["classes"]),
        background=description.get("background_index"),
        ignore=NO_LABEL if ignore is None else ignore,
        samples=tuple(_samples(directory, images, names, left_out or LeftOut())),
        colours=_colours(description, directory),
    )


def read_mask(file: Path, classes: int, ignore: int, *, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Class indices `(height, width)` uint8 of a palette or grey PNG.

    size: (height, width) of its picture, upright.
    raises: BadDataset if the file cannot be read, is of another size, or has a value that is neither a class
        nor `ignore`.
    """
    try:
        with Image.open(file) as image:
            mode, indices = image.mode, np.array(image)
    except (OSError, SyntaxError) as error:  # Pillow says SyntaxError of a broken PNG
        raise UnreadablePicture(f"{file} cannot be read as a picture") from error
    if mode not in ("P", "L"):
        raise BadDataset(f"{file} has mode {mode}; expected a palette or grey PNG of class indices")
    if indices.shape != size:
        raise BadDataset(
            f"{file} is {indices.shape[1]}x{indices.shape[0]}, its picture {size[1]}x{size[0]}; "
            "expected the same size"
        )
    if bad := sorted(set(np.unique(indices).tolist()) - set(range(classes)) - {ignore}):
        raise BadDataset(
            f"{file} has the value {bad[0]}; expected 0 to {classes - 1}, or {ignore} for no label"
        )
    return indices


def _read_classes(file: Path) -> Mapping[str, Any]:
    try:
        description: Mapping[str, Any] = json.loads(file.read_bytes())
        indices = [entry.get("index", place) for place, entry in enumerate(description["classes"])]
        names = [entry["name"] for entry in description["classes"]]
    except FileNotFoundError as error:
        raise BadDataset(f"no {file}; expected the names of the classes") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataset(f"{file} is not a list of classes: {error!r}") from error
    if not 1 <= len(names) <= MAX_CLASSES:
        raise BadDataset(f"{file} names {len(names)} classes; expected 1 to {MAX_CLASSES}")
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise BadDataset(f"{file} names the classes {', '.join(map(repr, names))}; expected a name for each")
    if indices != list(range(len(names))):
        raise BadDataset(f"{file} has the indices {indices}; expected 0, 1, 2… in this order")
    return description


def _colours(description: Mapping[str, Any], directory: Path) -> tuple[tuple[int, int, int], ...]:
    """raises: BadDataset if what stands in the place of a colour is none."""
    given = [entry.get("color") for entry in description["classes"]]
    if None in given:
        return ()
    for colour in given:
        if not isinstance(colour, list) or [type(part) for part in colour] != [int] * 3:
            raise BadDataset(
                f"{directory}/classes.json has the color {colour!r}; expected [red, green, blue]"
            )
        if not 0 <= min(colour) <= max(colour) <= 255:
            raise BadDataset(f"{directory}/classes.json has the color {colour!r}; expected 0 to 255")
    return tuple((red, green, blue) for red, green, blue in given)


def _samples(directory: Path, images: Path, names: Sequence[str], left_out: LeftOut) -> Iterator[MaskSample]:
    for name in names:
        try:
            yield MaskSample(_image(images, name), _mask(directory, name))
        except UnreadablePicture as error:
            left_out.note(error)


def _image(images: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        if (file := images / f"{name}{suffix}").is_file():
            return file
    raise UnreadablePicture(f"no picture {images / name} with one of the suffixes {', '.join(SUFFIXES)}")


def _mask(directory: Path, name: str) -> Path:
    file = directory / "masks" / f"{name}.png"
    if not file.is_file():
        raise UnreadablePicture(f"no mask {file}")
    return file
