"""Annotations as a prediction for Label Studio: what goes into the `predictions` of a task."""

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from hrformer.engine.results import Detection, Person
from hrformer.geometry.skeletons import JOINTS
from service.answers import PeopleResult, PoseResult, SegmentResult

# Label Studio packs runs into bits: of each a flag, which of these widths its length has, length and value.
_WIDTHS = (3, 4, 8, 16)
_WORD = 8
_CHANNELS = 4


def pose_labelstudio(result: PoseResult) -> bytes:
    """Regions of the tags `RectangleLabels` called box and `KeyPointLabels` called keypoints."""
    regions = [
        region for number, person in enumerate(result.people) for region in _person(number, person, result)
    ]
    return _prediction(result, regions)


def people_labelstudio(result: PeopleResult) -> bytes:
    """Regions of the tag `RectangleLabels` called box."""
    return _prediction(result, [_box(number, person, result) for number, person in enumerate(result.people)])


def segment_labelstudio(result: SegmentResult) -> bytes:
    """Regions of the tag `BrushLabels` called mask, the background left out."""
    regions = [
        _region(result, f"class{index}", "brushlabels", "mask", _brush(result.class_map == index, name))
        for index, (name, _) in enumerate(result.served.palette)
        if name != "background" and (result.class_map == index).any()
    ]
    return _prediction(result, regions)


def _prediction(result: PoseResult | PeopleResult | SegmentResult, regions: list[dict[str, Any]]) -> bytes:
    version = f"{result.served.name} {result.served.version}"
    return orjson.dumps({"model_version": version, "result": regions})


def _region(
    result: PoseResult | PeopleResult | SegmentResult, name: str, kind: str, tag: str, value: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "from_name": tag,
        "to_name": "image",
        "original_width": result.width,
        "original_height": result.height,
        "image_rotation": 0,
        "value": value,
    }


def _person(number: int, person: Person, result: PoseResult) -> list[dict[str, Any]]:
    across, down = 100 / result.width, 100 / result.height
    whole, points = _box(number, person, result), []
    for joint, (px, py, score) in zip(JOINTS, person.keypoints.tolist(), strict=True):
        if score >= result.options.keypoint_threshold:
            value = {"x": px * across, "y": py * down, "width": 0.5, "keypointlabels": [joint]}
            point = _region(result, f"person{number}-{joint}", "keypointlabels", "keypoints", value)
            points.append(point | {"score": round(score, 4), "parentID": whole["id"]})
    return [whole, *points]


def _box(number: int, person: Person | Detection, result: PoseResult | PeopleResult) -> dict[str, Any]:
    across, down = 100 / result.width, 100 / result.height
    x, y, width, height = person.box
    box = {"x": x * across, "y": y * down, "width": width * across, "height": height * down, "rotation": 0}
    value = box | {"rectanglelabels": ["person"]}
    region = _region(result, f"person{number}", "rectanglelabels", "box", value)
    return region | {"score": round(person.score, 4)}


def _brush(mask: npt.NDArray[np.bool_], name: str) -> dict[str, Any]:
    return {"format": "rle", "rle": list(packed_runs(mask)), "brushlabels": [name]}


def packed_runs(mask: npt.NDArray[np.bool_]) -> bytes:
    """Label Studio's run lengths of an RGBA picture whose four channels are 255 in the mask, else 0."""
    pixels = mask.ravel()
    starts = np.flatnonzero(np.diff(pixels, prepend=~pixels[0]))
    lengths = np.diff(starts, append=pixels.size) * _CHANNELS
    header = f"{pixels.size * _CHANNELS:032b}{_WORD - 1:05b}" + "".join(
        f"{width - 1:04b}" for width in _WIDTHS
    )
    runs = zip(lengths.tolist(), pixels[starts].tolist(), strict=True)
    bits = header + "".join(_run_bits(length, 255 if is_set else 0) for length, is_set in runs)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _run_bits(length: int, value: int) -> str:
    longest = 1 << _WIDTHS[-1]
    pieces = [longest] * (length // longest) + ([length % longest] if length % longest else [])
    return "".join(_piece_bits(piece, value) for piece in pieces)


def _piece_bits(length: int, value: int) -> str:
    choice = next(i for i, width in enumerate(_WIDTHS) if length <= 1 << width)
    return f"1{choice:02b}{length - 1:0{_WIDTHS[choice]}b}{value:08b}"
