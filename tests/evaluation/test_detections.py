"""How good keypoints are with boxes that a detector found."""

from pathlib import Path

import numpy as np
import pytest

from hrformer.data.detections import DetectedPerson, LabelledPictures
from hrformer.engine.results import Box, Person
from hrformer.evaluation.coco import STATS
from hrformer.evaluation.detections import figures_of_detections

SIDE = 100.0  # of every person, px


def joints(x: float) -> np.ndarray:
    """Seventeen points spread over a box of 100 px at (x, 0)."""
    places = np.arange(17)
    return np.stack([x + 37 * places % 97, 6 * places, np.full(17, 2)], axis=1).astype(np.float32)


def pictures(*persons: tuple[int, float], empty: int = 0) -> LabelledPictures:
    """People by picture and x, and further pictures without anybody."""
    truths = tuple(
        {
            "id": index + 1,
            "image_id": image,
            "bbox": [x, 0, SIDE, SIDE],
            "area": SIDE * SIDE,
            "iscrowd": 0,
            "keypoints": joints(x).reshape(-1).tolist(),
            "num_keypoints": 17,
        }
        for index, (image, x) in enumerate(persons)
    )
    count = 1 + max(image for image, _ in persons) + empty
    return LabelledPictures({image: Path(f"{image}.jpg") for image in range(count)}, truths)


def answered(*found: tuple[int, float, float, float]) -> tuple[list[Person], list[DetectedPerson]]:
    """People by picture, x, score of the keypoints and score of the detection."""
    people, detections = [], []
    for index, (image, x, keypoint_score, box_score) in enumerate(found):
        keypoints = joints(x)
        keypoints[:, 2] = keypoint_score
        people.append(Person(Box(x, 0, SIDE, SIDE), keypoint_score, keypoints))
        box = (x, 0.0, SIDE, SIDE)
        detections.append(DetectedPerson(Path(f"{image}.jpg"), image, box, box_score, index))
    return people, detections


def figures(found: tuple[list[Person], list[DetectedPerson]], labelled: LabelledPictures) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures_of_detections(*found, labelled)}


def test_everyone_found_is_all() -> None:
    found = figures(answered((0, 0, 0.9, 0.9), (0, 300, 0.9, 0.8)), pictures((0, 0), (0, 300), empty=1))

    assert list(found) == list(STATS)
    assert (found["AP"], found["AR"], found["AP_medium"]) == (pytest.approx(1), pytest.approx(1), -1)


def test_a_person_not_found_lowers_the_recall() -> None:
    found = figures(answered((0, 0, 0.9, 0.9)), pictures((0, 0), (0, 300)))

    assert found["AR"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("wrong", "precision"),
    [
        ((1, 0.0, 0.5, 0.9), 1.0),  # 0.45, behind the right one's 0.72
        ((1, 0.0, 0.9, 0.9), 0.5),  # 0.81, before it
        ((1, 0.0, 1.0, 0.7), 1.0),
    ],
)
def test_people_are_ranked_by_the_detection_times_the_keypoints(
    wrong: tuple[int, float, float, float], precision: float
) -> None:
    found = figures(answered((0, 0, 0.9, 0.8), wrong), pictures((0, 0), empty=1))

    assert found["AP"] == pytest.approx(precision)


def test_of_two_that_are_alike_the_better_one_stays() -> None:
    """Without that, the second one would be a false alarm before the last person."""
    alike = (0, 0.1, 0.9, 0.9), (0, 0.0, 0.9, 0.85), (0, 300, 0.9, 0.5)

    assert figures(answered(*alike), pictures((0, 0), (0, 300)))["AP"] == pytest.approx(1)


def test_people_alike_in_two_pictures_both_stay() -> None:
    both = (0, 0, 0.9, 0.9), (1, 0, 0.9, 0.8)

    assert figures(answered(*both), pictures((0, 0), (1, 0)))["AR"] == pytest.approx(1)


def test_nobody_found_is_no_recall() -> None:
    assert figures(([], []), pictures((0, 0)))["AR"] == 0
