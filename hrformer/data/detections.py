"""People found by a detector, in COCO's results format, and all labels of the pictures they were found in."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrformer.data.coco import annotation_file, read_image, read_json
from hrformer.data.errors import BadDataset
from hrformer.geometry.skeletons import JOINTS

PERSON = 1  # the category that counts, as COCO numbers it


@dataclass(frozen=True)
class DetectedPerson:
    """A box that is said to hold a person."""

    image: Path
    image_id: int
    box: tuple[float, float, float, float]  # x, y, width, height in pixels
    score: float  # of the detector; 0 to 1 of most
    index: int  # place in the file

    @property
    def name(self) -> str:
        """What the person is called in a message."""
        return f"detection {self.index}"


@dataclass(frozen=True)
class LabelledPictures:
    """All pictures of a split, also those without people, and everything that is labelled in them."""

    images: Mapping[int, Path]
    truths: tuple[Mapping[str, Any], ...]  # COCO's annotations, with all that its evaluation reads


def read_labelled_pictures(directory: Path, split: str) -> LabelledPictures:
    """Pictures and labels of a split; crowds and people without keypoints are there, to be ignored.

    raises: BadDataset if the file is missing, is no JSON, or has an annotation that is not in COCO's format.
    """
    file, pictures = annotation_file(directory, split)
    content = read_json(file)
    images = dict(read_image(image, pictures, file) for image in content["images"])
    truths = tuple(_truth(annotation, images, file) for annotation in content["annotations"])
    return LabelledPictures(images, truths)


def first_pictures(pictures: LabelledPictures, limit: int | None) -> LabelledPictures:
    """The first so many pictures with their labels; all if None."""
    images = dict(list(pictures.images.items())[:limit])
    return LabelledPictures(images, tuple(t for t in pictures.truths if t["image_id"] in images))


def read_detections(
    file: Path, images: Mapping[int, Path], *, chosen: Collection[int] | None = None
) -> list[DetectedPerson]:
    """The people of a results file, `[{"image_id": 7, "category_id": 1, "bbox": […], "score": 0.9}, …]`.

    What has another category than 1 is left out; chosen: and what is in none of these pictures.
    raises: BadDataset if the file cannot be read, is no such list, is of pictures that are not in `images`,
        or holds no person.
    """
    people = [
        _detection(record, index, images, file)
        for index, record in enumerate(_read_list(file))
        if not isinstance(record, dict) or record.get("category_id", PERSON) == PERSON
    ]
    if not people:
        raise BadDataset(f"{file} holds no person: no detection is of category {PERSON}")
    return [person for person in people if chosen is None or person.image_id in chosen]


def _read_list(file: Path) -> list[Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise BadDataset(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadDataset(f"{file} is not JSON: {error}") from error
    if not isinstance(content, list):
        raise BadDataset(f"{file} is no list; expected COCO's results format, [{{image_id, bbox, score}}, …]")
    return content


def _detection(record: Any, index: int, images: Mapping[int, Path], file: Path) -> DetectedPerson:
    where = f"{file}, detection {index}"
    try:
        x, y, width, height, score = (float(value) for value in [*record["bbox"], record["score"]])
        number = record["image_id"]
        is_listed = number in images
    except (KeyError, ValueError, TypeError) as error:
        raise BadDataset(f"{where} is not in COCO's results format: {error!r}") from error
    if not all(map(math.isfinite, (x, y, width, height, score))) or min(width, height) <= 0:
        raise BadDataset(
            f"{where}: the box is {[x, y, width, height]}, the score {score:g}; "
            "expected finite numbers, and a positive width and height"
        )
    if not is_listed:
        raise BadDataset(f"{where} is of picture {number!r}, which the labels do not list")
    return DetectedPerson(images[number], number, (x, y, width, height), score, index)


def _truth(annotation: Any, images: Mapping[int, Path], file: Path) -> dict[str, Any]:
    where = f"{file}, annotation {annotation.get('id') if isinstance(annotation, dict) else annotation!r}"
    try:
        box = [float(value) for value in annotation["bbox"]]
        keypoints = [float(value) for value in annotation.get("keypoints") or [0] * 3 * len(JOINTS)]
        truth = {
            "id": annotation["id"],
            "image_id": annotation["image_id"],
            "bbox": box,
            "area": float(annotation.get("area", math.prod(box[2:]))),
            "iscrowd": int(annotation.get("iscrowd", 0)),
            "keypoints": keypoints,
            "num_keypoints": sum(value > 0 for value in keypoints[2::3]),
        }
        is_listed = truth["image_id"] in images
    except (KeyError, ValueError, TypeError) as error:
        raise BadDataset(f"{where} is not in COCO's keypoint format: {error!r}") from error
    if len(box) != 4 or len(keypoints) != 3 * len(JOINTS) or not all(map(math.isfinite, [*box, *keypoints])):
        raise BadDataset(f"{where}: expected a box of 4 and keypoints of {3 * len(JOINTS)} finite numbers")
    if not is_listed:
        raise BadDataset(f"{where} is of picture {truth['image_id']!r}, which the file does not list")
    return truth
