"""The forms of an answer: which there are for each route, and which one a request gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.answers import PeopleResult, PoseResult, SegmentResult
from service.formats.accept import best_media_type
from service.formats.coco import people_coco, pose_coco, segment_coco
from service.formats.cvat import people_cvat, pose_cvat, segment_cvat
from service.formats.json import people_json, pose_json, segment_json
from service.formats.labelstudio import people_labelstudio, pose_labelstudio, segment_labelstudio
from service.formats.npz import people_npz, pose_npz, segment_npz
from service.formats.overlay import people_overlay, pose_overlay, segment_overlay
from service.formats.png import segment_png
from service.formats.rle import segment_rle
from service.problems import Problem

Result = TypeVar("Result")

JSON, PNG, NPZ, XML = "application/json", "image/png", "application/x-npz", "application/xml"


@dataclass(frozen=True)
class Format(Generic[Result]):
    """One form of an answer."""

    media_type: str
    encode: Callable[[Result], bytes]
    needs_pixels: bool = False
    is_light: bool = False  # a few items are written in less time than a thread is woken


# The first is the route's own form; of those with one media type, the first is what `Accept` gets.
POSE_FORMATS: dict[str, Format[PoseResult]] = {
    "json": Format(JSON, pose_json, is_light=True),
    "overlay": Format(PNG, pose_overlay, needs_pixels=True),
    "png": Format(PNG, pose_overlay, needs_pixels=True),
    "npz": Format(NPZ, pose_npz),
    "coco": Format(JSON, pose_coco),
    "cvat": Format(XML, pose_cvat),
    "labelstudio": Format(JSON, pose_labelstudio),
}
PEOPLE_FORMATS: dict[str, Format[PeopleResult]] = {
    "json": Format(JSON, people_json, is_light=True),
    "overlay": Format(PNG, people_overlay, needs_pixels=True),
    "png": Format(PNG, people_overlay, needs_pixels=True),
    "npz": Format(NPZ, people_npz),
    "coco": Format(JSON, people_coco),
    "cvat": Format(XML, people_cvat),
    "labelstudio": Format(JSON, people_labelstudio),
}
SEGMENT_FORMATS: dict[str, Format[SegmentResult]] = {
    "png": Format(PNG, segment_png),
    "json": Format(JSON, segment_json),
    "overlay": Format(PNG, segment_overlay, needs_pixels=True),
    "rle": Format(JSON, segment_rle),
    "npz": Format(NPZ, segment_npz),
    "coco": Format(JSON, segment_coco),
    "cvat": Format(XML, segment_cvat),
    "labelstudio": Format(JSON, segment_labelstudio),
}


def choose_format(formats: Mapping[str, Format[Result]], name: str | None, accept: str) -> Format[Result]:
    """The form asked for by the option, else by `Accept`.

    raises: Problem `bad-option` or `not-acceptable`.
    """
    if name is not None:
        if name not in formats:
            detail = f"format is {name!r}; this route has {', '.join(formats)}"
            raise Problem("bad-option", detail, field="format")
        return formats[name]
    offered = tuple(dict.fromkeys(form.media_type for form in formats.values()))
    chosen = best_media_type(accept, offered)
    if chosen is None:
        raise Problem(
            "not-acceptable", f"this route answers {', '.join(offered)}; widen Accept, or name a format"
        )
    return next(form for form in formats.values() if form.media_type == chosen)
