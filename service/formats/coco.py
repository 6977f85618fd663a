"""Annotations as a COCO data set of one picture."""

from typing import Any

import numpy as np
import orjson

from hrformer.engine.results import Detection, Person
from hrformer.geometry.skeletons import JOINTS, LIMBS
from service.answers import ClassAnswer, PeopleResult, PoseResult, SegmentResult
from service.formats.rle import present_classes

_SEEN, _UNLABELLED = 2, 0


def pose_coco(result: PoseResult) -> bytes:
    """Keypoint annotations; a joint that is not visible is 0, 0, 0, as COCO writes what is not labelled."""
    limbs = [[a + 1, b + 1] for a, b in LIMBS]
    category = {"id": 1, "name": "person", "keypoints": list(JOINTS), "skeleton": limbs}
    threshold = result.options.keypoint_threshold
    annotations = [_person(number, person, threshold) for number, person in enumerate(result.people, 1)]
    return _data_set(result, [category], annotations)


def people_coco(result: PeopleResult) -> bytes:
    """Box annotations."""
    annotations = [_box(number, person) for number, person in enumerate(result.people, 1)]
    return _data_set(result, [{"id": 1, "name": "person"}], annotations)


def segment_coco(result: SegmentResult) -> bytes:
    """One annotation in run lengths for each class that has pixels; its category's id is the class index."""
    categories = [{"id": index, "name": name} for index, (name, _) in enumerate(result.served.palette)]
    annotations = [_region(number, one, result) for number, one in enumerate(present_classes(result), 1)]
    return _data_set(result, categories, annotations)


def _data_set(
    result: PoseResult | PeopleResult | SegmentResult,
    categories: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
) -> bytes:
    image = {"id": 1, "file_name": "", "width": result.width, "height": result.height}
    return orjson.dumps({"images": [image], "categories": categories, "annotations": annotations})


def _person(number: int, person: Person, threshold: float) -> dict[str, Any]:
    points = person.keypoints.tolist()
    flat = [
        value
        for x, y, score in points
        for value in ((round(x, 2), round(y, 2), _SEEN) if score >= threshold else (0, 0, _UNLABELLED))
    ]
    seen = sum(score >= threshold for _, _, score in points)
    return _box(number, person) | {"keypoints": flat, "num_keypoints": seen}


def _box(number: int, person: Person | Detection) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": 1,
        "category_id": 1,
        "bbox": list(person.box),
        "area": person.box.width * person.box.height,
        "iscrowd": 0,
        "score": round(person.score, 4),
    }


def _region(number: int, one: ClassAnswer, result: SegmentResult) -> dict[str, Any]:
    mask = result.class_map == one["index"]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": 1,
        "category_id": one["index"],
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "area": one["area"],
        "iscrowd": 1,  # COCO's word for a region in run lengths
        "segmentation": one["run_lengths"],
    }
