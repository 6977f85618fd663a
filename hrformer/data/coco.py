"""People with keypoints in COCO's JSON format."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hrformer.data.errors import BadDataset
from hrformer.geometry.skeletons import JOINTS

SAME = (
    0.1  # of half the extent of the joints: labels of one person, rounded to pixels of two sizes, differ less
)


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

    @property
    def name(self) -> str:
        """What the person is called in a message."""
        return f"annotation {self.annotation_id}"


def annotation_file(directory: Path, split: str) -> tuple[Path, Path]:
    """The file with the labels of a split, and the folder that the names of its pictures start from.

    That is `SPLIT.json` and the set's own folder; or, as COCO is unpacked,
    `annotations/person_keypoints_SPLIT.json` and `SPLIT/`, where the split may be followed by its year, 2017.
    raises: BadDataset if there is no such file.
    """
    layouts = {directory / f"{split}.json": directory}
    for name in (split, f"{split}2017"):
        layouts[directory / "annotations" / f"person_keypoints_{name}.json"] = directory / name
    for file, pictures in layouts.items():
        if file.is_file():
            return file, pictures
    expected = " or ".join(str(file.relative_to(directory)) for file in layouts)
    raise BadDataset(f"no labels for {split!r} in {directory}; expected {expected}")


def read_persons(directory: Path, split: str, *, min_joints: int = 1) -> list[LabelledPerson]:
    """The people of a split with at least `min_joints` labelled joints, in the order of the file.

    Crowds are left out.
    raises: BadDataset if the file is missing, is no JSON, has an annotation that is not in COCO's format, or
        no person with so many joints.
    """
    file, pictures = annotation_file(directory, split)
    content = read_json(file)
    images = dict(read_image(image, pictures, file) for image in content["images"])
    people = [
        _person(annotation, images, file) for annotation in content["annotations"] if _counts(annotation)
    ]
    chosen = [person for person in people if (person.joints[:, 2] > 0).sum() >= min_joints]
    if not chosen:
        raise BadDataset(f"{file} has no person with {min_joints} labelled joints or more")
    return chosen


def without_repeats(sets: Iterable[Sequence[LabelledPerson]]) -> list[LabelledPerson]:
    """The people of all sets, but none that an earlier set has, from another cut or size of the photograph.

    Two are the same if the same joints are labelled and lie alike, up to place and size.
    """
    chosen: list[LabelledPerson] = []
    seen: dict[bytes, list[npt.NDArray[np.float32]]] = {}
    for people in sets:
        new = [
            person
            for person in people
            if all(np.abs(_shape(person) - other).max() > SAME for other in seen.get(_labelled(person), []))
        ]
        for person in new:
            seen.setdefault(_labelled(person), []).append(_shape(person))
        chosen += new
    return chosen


def _labelled(person: LabelledPerson) -> bytes:
    """Which joints are labelled."""
    return (person.joints[:, 2] > 0).tobytes()


def _shape(person: LabelledPerson) -> npt.NDArray[np.float32]:
    """The labelled joints `(n, 2)` around their mean, at most 1 away from it on either axis."""
    points = person.joints[person.joints[:, 2] > 0, :2]
    centred = points - points.mean(axis=0)
    return centred / max(float(np.abs(centred).max()), 1e-6)  # type: ignore[no-any-return]


def read_json(file: Path) -> Mapping[str, Any]:
    """Content of a file in COCO's format. raises: BadDataset if it is no JSON, or lacks one of its lists."""
    try:
        content: Mapping[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:
        raise BadDataset(f"{file} is not JSON: {error}") from error
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise BadDataset(f"{file} has no list {key!r}; expected COCO's format")
    return content


def read_image(image: Any, pictures: Path, file: Path) -> tuple[int, Path]:
    """Number and file of a picture that `file` lists. raises: BadDataset if the record lacks one."""
    try:
        return image["id"], pictures / image["file_name"]
    except (KeyError, TypeError) as error:
        raise BadDataset(f"{file} lists the picture {image!r}; expected `id` and `file_name`") from error


def _counts(annotation: Any) -> bool:
    """Whether the annotation is of one person with keypoints; what is no annotation at all is told later."""
    return not isinstance(annotation, dict) or ("keypoints" in annotation and not annotation.get("iscrowd"))


def _person(annotation: Any, images: Mapping[int, Path], file: Path) -> LabelledPerson:
    where = f"{file}, annotation {annotation.get('id') if isinstance(annotation, dict) else annotation!r}"
    try:
        x, y, width, height = map(float, annotation["bbox"])
        person = LabelledPerson(
            image=images[annotation["image_id"]],
            image_id=annotation["image_id"],
            annotation_id=annotation["id"],
            box=(x, y, width, height),
            joints=np.asarray(annotation["keypoints"], dtype=np.float32).reshape(len(JOINTS), 3),
            area=float(annotation.get("area", width * height)),
            label=str(annotation.get("label", "")),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BadDataset(f"{where} is not in COCO's keypoint format: {error!r}") from error
    _check_numbers(person, where)
    return person


def _check_numbers(person: LabelledPerson, where: str) -> None:
    if not np.isfinite([*person.box, person.area]).all() or min(*person.box[2:], person.area) <= 0:
        raise BadDataset(
            f"{where}: the box is {list(person.box)}, the area {person.area:g}; "
            "expected finite numbers, and a positive width, height and area"
        )
    if not np.isfinite(person.joints).all():
        raise BadDataset(f"{where}: a keypoint is no finite number")
