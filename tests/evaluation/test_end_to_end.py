"""How good keypoints are of people who are found first, against boxes that are given."""

import math
from pathlib import Path

import numpy as np
import pytest

from hrformer.data.coco import LabelledPerson
from hrformer.data.detections import LabelledPictures
from hrformer.engine.results import Box, Person
from hrformer.evaluation.coco import STATS
from hrformer.evaluation.end_to_end import figures_of_everyone
from hrformer.evaluation.figures import Figure

SIDE = 100.0  # of every person, px


def joints(x: float) -> np.ndarray:
    """Seventeen points spread over a box of 100 px at (x, 0)."""
    places = np.arange(17)
    return np.stack([x + 37 * places % 97, 6 * places, np.full(17, 2)], axis=1).astype(np.float32)


def somebody(x: float, score: float = 0.9) -> Person:
    return Person(Box(x, 0, SIDE, SIDE), score, joints(x))


def labelled(picture: int, x: float) -> LabelledPerson:
    box = (x, 0.0, SIDE, SIDE)
    return LabelledPerson(Path(f"{picture}.jpg"), picture, 1, box, joints(x), SIDE * SIDE, "human")


def pictures(*persons: LabelledPerson, without_points: tuple[int, float] | None = None) -> LabelledPictures:
    """Four pictures with these people, and perhaps one whose keypoints nobody knows."""
    truths = [
        {
            "id": number,
            "image_id": person.image_id,
            "bbox": list(person.box),
            "area": person.area,
            "iscrowd": 0,
            "keypoints": person.joints.reshape(-1).tolist(),
            "num_keypoints": 17,
        }
        for number, person in enumerate(persons, start=1)
    ]
    if without_points is not None:
        picture, x = without_points
        unknown = {"id": 99, "keypoints": [0.0] * 51, "num_keypoints": 0}
        truths.append({**truths[0], **unknown, "image_id": picture, "bbox": [x, 0, SIDE, SIDE]})
    return LabelledPictures({number: Path(f"{number}.jpg") for number in range(4)}, tuple(truths))


def figures(
    found: list[list[Person]], persons: list[LabelledPerson], labels: LabelledPictures
) -> dict[str, Figure]:
    given = [somebody(person.box[0]) for person in persons]
    return {f"{one.group} {one.name}": one for one in figures_of_everyone(found, given, persons, labels)}


def test_what_is_not_found_is_lost() -> None:
    """Of two people one is found, and nobody else: a precision of one up to a recall of a half."""
    persons = [labelled(0, 0), labelled(1, 0)]
    measured = figures([[somebody(0)], [], [], []], persons, pictures(*persons))
    at_half = 51 / 101  # of COCO's recalls, 0 to 0.5

    assert measured["coco_given_boxes AP"].value == pytest.approx(1)
    assert measured["coco AP50"].value == pytest.approx(at_half)
    assert measured["relative_loss AP50"].value == pytest.approx(1 - at_half)
    assert list(measured) == [
        *(f"coco {name}" for name in STATS),
        *(f"coco_given_boxes {name}" for name in STATS),
        "relative_loss AP",
        "relative_loss AP50",
    ]


def test_all_found_loses_nothing_in_any_draw_of_the_pictures() -> None:
    persons = [labelled(0, 0), labelled(1, 300), labelled(2, 20)]
    loss = figures([[somebody(0)], [somebody(300)], [somebody(20)], []], persons, pictures(*persons))[
        "relative_loss AP"
    ]

    assert (loss.value, loss.low, loss.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_somebody_where_nobody_is_is_a_loss() -> None:
    persons = [labelled(0, 0)]
    found = [[somebody(0, score=0.6)], [], [], [somebody(0, score=0.8)]]

    assert figures(found, persons, pictures(*persons))["relative_loss AP"].value == pytest.approx(0.5)


def test_a_person_without_labelled_keypoints_is_neither_missed_nor_wrongly_found() -> None:
    persons = [labelled(0, 0)]
    labels = pictures(*persons, without_points=(0, 300))

    for found in ([somebody(0, 0.5)], [somebody(300, 0.9), somebody(0, 0.5)]):
        assert figures([found, [], [], []], persons, labels)["coco AP"].value == pytest.approx(1)


def test_where_given_boxes_are_worth_nothing_there_is_no_loss_to_tell() -> None:
    persons = [labelled(0, 0)]
    wrong = [Person(Box(0, 0, SIDE, SIDE), 0.9, joints(900))]
    measured = figures_of_everyone([[], [], [], []], wrong, persons, pictures(*persons))

    assert all(math.isnan(one.value) for one in measured if one.group == "relative_loss")
