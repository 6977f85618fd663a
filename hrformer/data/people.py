"""Whole photographs with the boxes of all people, in COCO's JSON format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hrformer.data.coco import annotation_file, read_image, read_json
from hrformer.data.errors import BadDataset

PERSON = "person"  # the category that counts, where the file names several

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photograph:
    """A photograph and all people in it; often there is nobody."""

    image: Path
    image_id: int
    boxes: FloatArray  # (people, 4): x, y, width, height in px
    crowds: FloatArray  # (regions, 4): where people stand who have no box of their own


def read_photographs(directory: Path, split: str) -> list[Photograph]:
    """All photographs of a split, those without people too, in the order of the file.

    Annotations with `iscrowd` are regions of which it is not known who is there.
    raises: BadDataset if the file is missing, is no JSON, lists no photograph, or has an annotation that is
        not in COCO's format.
    """
    file, pictures = annotation_file(directory, split)
    content = read_json(file)
    images = dict(read_image(image, pictures, file) for image in content["images"])
    if not images:
        raise BadDataset(f"{file} lists no picture")
    found: dict[int, tuple[list[list[float]], list[list[float]]]] = {number: ([], []) for number in images}
    others = _other_categories(content, file)
    for annotation in content["annotations"]:
        if not isinstance(annotation, dict) or annotation.get("category_id") not in others:
            number, box = _box(annotation, images, file)
            found[number][bool(annotation.get("iscrowd"))].append(box)
    return [
        Photograph(image, number, *(np.array(rows, np.float32).reshape(-1, 4) for rows in found[number]))
        for number, image in images.items()
    ]


def _other_categories(content: Mapping[str, Any], file: Path) -> set[Any]:
    """Numbers of the categories that are not people."""
    try:
        return {category["id"] for category in content.get("categories", []) if category["name"] != PERSON}
    except (KeyError, TypeError) as error:
        raise BadDataset(f"{file} has a category without `id` or `name`") from error


def _box(annotation: Any, images: Mapping[int, Path], file: Path) -> tuple[int, list[float]]:
    """Number of the picture, and x, y, width and height."""
    where = f"{file}, annotation {annotation.get('id') if isinstance(annotation, dict) else annotation!r}"
    try:
        number, box = annotation["image_id"], [float(value) for value in annotation["bbox"]]
        known = number in images
    except (KeyError, ValueError, TypeError) as error:
        raise BadDataset(f"{where} is not in COCO's format: {error!r}") from error
    if not known:
        raise BadDataset(f"{where} is of picture {number}, which the file does not list")
    if len(box) != 4 or not np.isfinite(box).all() or min(box[2:]) <= 0:
        raise BadDataset(f"{where}: the box is {box}; expected four finite numbers, the last two positive")
    return number, box
