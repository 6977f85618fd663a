"""What is answered, as values and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict  # pydantic does not take typing's before Python 3.12

from hrformer.engine.results import Detection, Person
from service.models import Served
from service.options import PoseOptions


@dataclass(frozen=True)
class PoseResult:
    """People of a picture, and all that a format of the answer may need."""

    served: Served
    request_id: str
    width: int  # px, of the upright picture
    height: int
    people: Sequence[Person]
    options: PoseOptions
    finder: Served | None  # that found the boxes
    timing: dict[str, float] | None  # ms by stage, where asked for
    pixels: npt.NDArray[np.uint8] | None = None  # (height, width, 3), for formats that draw


@dataclass(frozen=True)
class PeopleResult:
    """Where the people of a picture are, and all that a format of the answer may need."""

    served: Served
    request_id: str
    width: int  # px, of the upright picture
    height: int
    people: Sequence[Detection]
    timing: dict[str, float] | None  # ms by stage, where asked for
    pixels: npt.NDArray[np.uint8] | None = None  # (height, width, 3), for formats that draw


@dataclass(frozen=True)
class SegmentResult:
    """Classes of a picture's pixels, and all that a format of the answer may need."""

    served: Served
    request_id: str
    class_map: npt.NDArray[np.uint8]  # (height, width) of the upright picture
    timing: dict[str, float] | None  # ms by stage, where asked for
    pixels: npt.NDArray[np.uint8] | None = None  # (height, width, 3), for formats that draw

    @property
    def height(self) -> int:
        return int(self.class_map.shape[0])

    @property
    def width(self) -> int:
        return int(self.class_map.shape[1])


class ImageAnswer(TypedDict):
    """Size of the upright picture in pixels."""

    width: int
    height: int


class KeypointAnswer(TypedDict):
    """A joint, in pixels of the upright picture."""

    name: str
    x: float
    y: float
    score: float
    visible: bool


class PersonAnswer(TypedDict):
    """A person: box `[x, y, width, height]`, 17 keypoints, scores 0 to 1.

    The box's score is 1 where it was given; `score` is that times the mean of the keypoints above 0.2.
    """

    box: list[float]
    box_score: float
    score: float
    keypoints: list[KeypointAnswer]


class FinderAnswer(TypedDict):
    """The model that found people."""

    model: str
    model_version: str


class PoseAnswer(TypedDict):
    """People of a picture.

    `boxes` says where they come from: found by the model that `finder` names, given, or the whole picture
    taken as one person.
    """

    model: str
    model_version: str
    request_id: str
    image: ImageAnswer
    boxes: Literal["found", "given", "whole"]
    finder: NotRequired[FinderAnswer]
    people: list[PersonAnswer]
    timing: NotRequired[dict[str, float]]


class BoxAnswer(TypedDict):
    """A person who was found: box `[x, y, width, height]`, score 0 to 1."""

    box: list[float]
    score: float


class PeopleAnswer(TypedDict):
    """Where the people of a picture are, best first."""

    model: str
    model_version: str
    request_id: str
    image: ImageAnswer
    people: list[BoxAnswer]
    timing: NotRequired[dict[str, float]]


class RunLengths(TypedDict):
    """COCO's compressed run lengths; size is height, width."""

    size: list[int]
    counts: str


class ClassAnswer(TypedDict):
    """A class that has pixels."""

    index: int
    name: str
    area: int
    run_lengths: RunLengths


class SegmentAnswer(TypedDict):
    """Classes of a picture, those without pixels left out."""

    model: str
    model_version: str
    request_id: str
    image: ImageAnswer
    classes: list[ClassAnswer]
    timing: NotRequired[dict[str, float]]
