"""People with keypoints in COCO's JSON format: `DIR/SPLIT.json` beside `DIR/images/`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hrformer.data.errors import BadDataset

JOINTS = 17


@dataclass(frozen=True)
class LabelledPerson:
    """One person of a picture, with labels as COCO has them."""

    image: Path
    image_id: int
    annotation_id: int
    box: tuple[float, float, float, float]  # x, y, width, height in pixels
    joints: npt.NDArray[np.float32]  # (17, 3): x, y in pixels, v: 0 unknown, 1 hidden, 2 visible
    area: float  # square pixels, of the person's outline
    label: str  # where the labels come from, "" where the file does not say


def annotation_file(directory: Path, split: str) -> Path:
    """The file with the labels of a split: `SPLIT.json`, or COCO's own `annotations/person_keypoints_SPLIT.json`.

    raises: BadDataset if neither is there.
    """
    candidates = [directory / f"{split}.json", directory / "annotations" / f"person_keypoints_{split}.json"]
    for file in candidates:
        if file.is_file():
            return file
    raise BadDataset(
        f"no labels for {split!r} in {directory}; expected {candidates[0].name} or {candidates[1]}"
    )


def read_persons(directory: Path, split: str, *, min_joints: int = 1) -> list[LabelledPerson]:
    """The people of a split with at least `min_joints` labelled joints, in the order of the file; crowds left out.

    raises: BadDataset if the file is missing, is no JSON, or an annotation is not in COCO's format.
    """
    file = annotation_file(directory, split)
    content = _read_json(file)
    images = {image["id"]: _image_path(directory, split, image["file_name"]) for image in content["images"]}
    persons = [
        _person(annotation, images, file)
        for annotation in content["annotations"]
        if not annotation.get("iscrowd") and "keypoints" in annotation
    ]
    return [person for person in persons if (person.joints[:, 2] > 0).sum() >= min_joints]


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:
        raise BadDataset(f"{file} is not JSON: {error}") from error
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise BadDataset(f"{file} has no list {key!r}; expected COCO's keypoint format")
    return content


def _image_path(directory: Path, split: str, file_name: str) -> Path:
    """Names are relative to the set's folder, or, in COCO's own layout, to the folder of the split."""
    path = directory / file_name
    return path if len(Path(file_name).parts) > 1 else directory / split / file_name


def _person(annotation: Mapping[str, Any], images: Mapping[int, Path], file: Path) -> LabelledPerson:
    where = f"{file}, annotation {annotation.get('id')}"
    try:
        joints = np.asarray(annotation["keypoints"], dtype=np.float32).reshape(JOINTS, 3)
        x, y, width, height = map(float, annotation["bbox"])
        person = LabelledPerson(
            image=images[annotation["image_id"]],
            image_id=annotation["image_id"],
            annotation_id=annotation["id"],
            box=(x, y, width, height),
            joints=joints,
            area=float(annotation.get("area", width * height)),
            label=annotation.get("label", ""),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BadDataset(f"{where} is not in COCO's keypoint format: {error!r}") from error
    if not np.isfinite(joints).all() or not width > 0 or not height > 0:
        raise BadDataset(
            f"{where}: the box is {annotation['bbox']}; expected finite numbers and a positive size"
        )
    return person
