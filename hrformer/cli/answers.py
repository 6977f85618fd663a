"""Answers as plain values, of the shape that the service's JSON has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hrformer.engine.results import Person, rounded_keypoints, rounded_score
from hrformer.geometry.palettes import Palette
from hrformer.geometry.skeletons import JOINTS


def person_values(person: Person, keypoint_threshold: float) -> dict[str, Any]:
    """Box, score and named keypoints; coordinates rounded to 0.01 px."""
    return {
        "box": list(person.box),
        "score": rounded_score(person.score),
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


def people_in_words(people: Sequence[Person]) -> str:
    """As `1 person (0.91)` or `2 people (0.91 0.40)`, with their scores."""
    scores = " ".join(f"{person.score:.2f}" for person in people)
    return f"{len(people)} {'person' if len(people) == 1 else 'people'} ({scores})"


def classes_in_words(class_map: npt.NDArray[np.uint8], palette: Palette) -> str:
    """The share of each class that has pixels, the largest first."""
    areas = np.bincount(class_map.ravel(), minlength=len(palette))
    order = np.argsort(-areas, kind="stable")
    return ", ".join(f"{palette[i][0]} {areas[i] / class_map.size:.0%}" for i in order if areas[i])
