"""What a model says of a picture: as plain values, of the shape that the service has, in words, and drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from hrformer.engine.results import Detection, Person, rounded_keypoints, rounded_score
from hrformer.engine.search import Search
from hrformer.geometry.palettes import Palette
from hrformer.geometry.skeletons import JOINTS
from hrformer.images.draw import draw_boxes, draw_mask, draw_people

if TYPE_CHECKING:
    from hrformer.engine.picture import Pixels
    from hrformer.engine.predictor import Predictor


@dataclass(frozen=True)
class Answer:
    """What a model says of a picture."""

    values: dict[str, Any]  # for JSON
    words: str
    draw: "Callable[[Pixels], Pixels]"  # over the picture


@dataclass(frozen=True)
class PoseQuestion:
    """What is asked of a pose model."""

    boxes: list[list[float]] | Literal["whole"] | None  # None: people are found first
    search: Search
    flip_test: bool
    keypoint_threshold: float

    @property
    def origin(self) -> str:
        """Where the boxes come from: "found", "whole" or "given"."""
        if self.boxes is None:
            return "found"
        return "whole" if self.boxes == "whole" else "given"


def pose_answer(question: PoseQuestion, predictor: "Predictor", data: bytes) -> Answer:
    """People with their keypoints. raises: as `Predictor.pose`."""
    threshold = question.keypoint_threshold
    people = predictor.pose(
        data,
        question.boxes,
        flip_test=question.flip_test,
        box_threshold=question.search.box_threshold,
        max_people=question.search.max_people,
    )
    return Answer(
        {"boxes": question.origin, "people": [person_values(person, threshold) for person in people]},
        people_in_words(people),
        lambda pixels: draw_people(pixels, people, threshold),
    )


def people_answer(search: Search, predictor: "Predictor", data: bytes) -> Answer:
    """Boxes of people. raises: as `Predictor.people`."""
    found = predictor.people(data, box_threshold=search.box_threshold, max_people=search.max_people)
    values = [{"box": list(one.box), "score": rounded_score(one.score)} for one in found]
    return Answer({"people": values}, people_in_words(found), lambda pixels: draw_boxes(pixels, found))


def mask_answer(predictor: "Predictor", data: bytes) -> Answer:
    """Areas and run lengths of classes. raises: as `Predictor.segment`."""
    palette = predictor.engine.entry.palette
    class_map = predictor.segment(data)
    return Answer(
        {"classes": class_values(class_map, palette)},
        classes_in_words(class_map, palette),
        lambda pixels: draw_mask(pixels, class_map, palette),
    )


def class_answer(predictor: "Predictor", data: bytes) -> Answer:
    """The likeliest classes of the picture, best first. raises: as `Predictor.classify`."""
    found = predictor.classify(data)
    return Answer(
        {"classes": [{"name": name, "score": rounded_score(score)} for name, score in found]},
        ", ".join(f"{name} {score:.2f}" for name, score in found),
        lambda pixels: pixels,
    )


def person_values(person: Person, keypoint_threshold: float) -> dict[str, Any]:
    """Box, scores and named keypoints; coordinates rounded to 0.01 px."""
    return {
        "box": list(person.box),
        "score": rounded_score(person.score),
        "box_score": rounded_score(person.box_score),
        "keypoints": [
            {"name": name, "x": x, "y": y, "score": score, "visible": visible}
            for name, (x, y, score), visible in zip(
                JOINTS, rounded_keypoints(person), person.is_visible(keypoint_threshold), strict=True
            )
        ],
    }


def class_values(class_map: npt.NDArray[np.uint8], palette: Palette) -> list[dict[str, Any]]:
    """Index, name, area in pixels and run lengths of each class that has pixels."""
    import torch

    from hrformer.geometry.masks import class_areas, run_lengths

    classes = torch.from_numpy(class_map)
    return [
        {"index": index, "name": name, "area": area, "run_lengths": run_lengths(classes == index)}
        for index, ((name, _), area) in enumerate(
            zip(palette, class_areas(classes, len(palette)), strict=True)
        )
        if area
    ]


def people_in_words(people: Sequence[Person] | Sequence[Detection]) -> str:
    """As `nobody`, `1 person (0.91)` or `2 people (0.91 0.40)`, with their scores."""
    if not people:
        return "nobody"
    scores = " ".join(f"{person.score:.2f}" for person in people)
    return f"{len(people)} {'person' if len(people) == 1 else 'people'} ({scores})"


def classes_in_words(class_map: npt.NDArray[np.uint8], palette: Palette) -> str:
    """The share of each class that has pixels, the largest first."""
    areas = np.bincount(class_map.ravel(), minlength=len(palette))
    order = np.argsort(-areas, kind="stable")
    return ", ".join(f"{palette[i][0]} {areas[i] / class_map.size:.0%}" for i in order if areas[i])
