"""JSON, the plain form of every answer."""

from typing import Literal

import orjson

from hrformer.engine.results import Person, rounded_keypoints, rounded_score
from hrformer.geometry.skeletons import JOINTS
from service.answers import (
    KeypointAnswer,
    PeopleAnswer,
    PeopleResult,
    PersonAnswer,
    PoseAnswer,
    PoseResult,
    SegmentAnswer,
    SegmentResult,
)
from service.formats.rle import present_classes


def pose_json(result: PoseResult) -> bytes:
    """A `PoseAnswer`."""
    answer: PoseAnswer = {
        "model": result.served.name,
        "model_version": result.served.version,
        "request_id": result.request_id,
        "image": {"width": result.width, "height": result.height},
        "boxes": _boxes(result),
        "people": [_person(person, result.options.keypoint_threshold) for person in result.people],
    }
    if result.finder is not None:
        answer["finder"] = {"model": result.finder.name, "model_version": result.finder.version}
    if result.timing is not None:
        answer["timing"] = result.timing
    return orjson.dumps(answer)


def people_json(result: PeopleResult) -> bytes:
    """A `PeopleAnswer`."""
    answer: PeopleAnswer = {
        "model": result.served.name,
        "model_version": result.served.version,
        "request_id": result.request_id,
        "image": {"width": result.width, "height": result.height},
        "people": [{"box": list(box), "score": rounded_score(score)} for box, score in result.people],
    }
    if result.timing is not None:
        answer["timing"] = result.timing
    return orjson.dumps(answer)


def segment_json(result: SegmentResult) -> bytes:
    """A `SegmentAnswer`."""
    answer: SegmentAnswer = {
        "model": result.served.name,
        "model_version": result.served.version,
        "request_id": result.request_id,
        "image": {"width": result.width, "height": result.height},
        "classes": present_classes(result),
    }
    if result.timing is not None:
        answer["timing"] = result.timing
    return orjson.dumps(answer)


def _boxes(result: PoseResult) -> Literal["found", "given", "whole"]:
    if result.finder is not None:
        return "found"
    return "given" if isinstance(result.options.boxes, tuple) else "whole"


def _person(person: Person, threshold: float) -> PersonAnswer:
    keypoints: list[KeypointAnswer] = [
        {"name": name, "x": x, "y": y, "score": score, "visible": visible}
        for name, (x, y, score), visible in zip(
            JOINTS, rounded_keypoints(person), person.is_visible(threshold), strict=True
        )
    ]
    return {
        "box": list(person.box),
        "box_score": rounded_score(person.box_score),
        "score": rounded_score(person.score),
        "keypoints": keypoints,
    }
