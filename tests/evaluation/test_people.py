"""How good found boxes are."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.data.errors import BadDataset
from hrformer.data.people import Photograph, read_photographs
from hrformer.engine.people import PeopleEngine
from hrformer.engine.results import Box, Detection
from hrformer.evaluation.people import (
    INTERVALS,
    PeopleFigures,
    figures_of_people,
    find_people,
    people_figures,
)
from tests.material import people_entry, seeded, shallow_people, write_people_set

Rows = Sequence[Sequence[float]]
FAR = (300.0, 300.0, 40.0, 40.0)


def photograph(number: int, boxes: Rows = (), crowds: Rows = ()) -> Photograph:
    rows = (np.array(given, np.float32).reshape(-1, 4) for given in (boxes, crowds))
    return Photograph(Path(f"{number}.jpg"), number, *rows)


def found(*boxes: Sequence[float], score: float = 0.9) -> list[Detection]:
    return [Detection(Box(*box), score) for box in boxes]


def figures(photographs: Sequence[Photograph], *answers: list[Detection]) -> PeopleFigures:
    return people_figures(answers, photographs)


def test_of_pictures_that_are_all_alike_no_other_figures_can_be_drawn() -> None:
    """Found and not, of three sizes, in a crowd and where nobody is; the figures are those of pycocotools."""
    people = [(0, 0, 20, 30), (50, 50, 60, 80), (10, 200, 150, 180), (200, 0, 70, 70)]
    answer = [
        *found(FAR, score=0.6),
        *found((0, 2, 20, 30), score=0.9),
        *found((50, 50, 55, 70), (10, 190, 150, 180), score=0.5),
        *found((402, 0, 100, 90), score=0.95),
    ]
    photographs = [photograph(number, people, [(400, 0, 200, 100)]) for number in range(5)]
    measured = figures_of_people([answer] * 5, photographs)

    assert [figure.value for figure in measured if figure.group == "coco"] == [
        people_figures([answer] * 5, photographs).coco[name] for name in INTERVALS
    ]
    assert 0 < measured[0].value < 1
    for figure in measured[:-1]:
        assert (figure.low, figure.high) == pytest.approx((figure.value, figure.value)), figure


def test_false_alarms_have_an_interval_of_the_empty_photographs() -> None:
    photographs = [photograph(0, [FAR]), *(photograph(number) for number in range(1, 41))]
    answers = [found(FAR)] + [found(FAR, score=0.7 if number % 4 else 0.3) for number in range(40)]
    (alarms,) = [f for f in figures_of_people(answers, photographs) if f.name == "false_alarms"]

    assert alarms.value == pytest.approx(0.75)
    assert 0.5 < alarms.low < 0.7 < 0.8 < alarms.high < 1


def test_everybody_found_is_a_precision_of_one() -> None:
    boxes = [(0, 0, 20, 30), (50, 50, 60, 80), (10, 200, 150, 180)]
    measured = figures([photograph(1, boxes)], found(*boxes))

    assert measured.coco["AP"] == measured.coco["AP50"] == pytest.approx(1.0)
    assert measured.recall50 == {"small": 1.0, "medium": 1.0, "large": 1.0}
    assert (measured.photographs, measured.persons) == (1, 3)


def test_somebody_found_where_nobody_is_costs_precision() -> None:
    one = photograph(1, [(0, 0, 40, 80)])
    answer = [*found(FAR, score=0.95), *found((0, 0, 40, 80), score=0.9)]

    assert figures([one], answer).coco["AP50"] == pytest.approx(0.5)


def test_recall_is_told_by_size() -> None:
    measured = figures([photograph(1, [(0, 0, 25, 30), (50, 50, 60, 80)])], found((50, 50, 60, 80)))

    assert measured.recall50 == {"small": 0.0, "medium": 1.0, "large": -1.0}


def test_a_box_that_overlaps_by_half_counts_at_an_iou_of_a_half_alone() -> None:
    measured = figures([photograph(1, [(0, 0, 40, 80)])], found((0, 0, 40, 44)))

    assert measured.coco["AP50"] == pytest.approx(1.0)
    assert measured.coco["AP75"] == 0


@pytest.mark.parametrize("answer", [[], found((0, 0, 8, 24))])
def test_somebody_under_25_px_is_neither_missed_nor_wrongly_found(answer: list[Detection]) -> None:
    one = photograph(1, [(0, 0, 8, 24.5), (100, 100, 8, 25)])
    measured = figures([one], [*answer, *found((100, 100, 8, 25), score=0.5)])

    assert measured.persons == 1
    assert measured.coco["AP50"] == pytest.approx(1.0)


def test_who_is_found_in_a_crowd_is_not_wrong() -> None:
    one = photograph(1, [(0, 0, 40, 80)], [(200, 200, 200, 100)])
    crowd = found((210, 210, 30, 60), (300, 220, 30, 60), score=0.99)

    assert figures([one], [*crowd, *found((0, 0, 40, 80))]).coco["AP50"] == pytest.approx(1.0)


def test_alarms_are_counted_in_photographs_without_anybody() -> None:
    photographs = [
        photograph(1),
        photograph(2),
        photograph(3),
        photograph(4, crowds=[FAR]),
        photograph(5, [FAR]),
    ]
    answers = [found(FAR, score=0.5), found(FAR, score=0.49), [], found(FAR), found(FAR, FAR)]
    measured = figures(photographs, *answers)

    assert measured.empty_photographs == 3
    assert measured.false_alarms == pytest.approx(1 / 3)


def test_nothing_found_anywhere_is_a_precision_of_nought() -> None:
    measured = figures([photograph(1, [FAR])], [])

    assert (measured.coco["AP50"], measured.coco["AR100"]) == (0, 0)
    assert math.isnan(measured.false_alarms)


def test_photographs_on_disk_are_gone_through(tmp_path: Path) -> None:
    engine = PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu")
    photographs = read_photographs(write_people_set(tmp_path), "val")
    answers = list(find_people(engine, photographs))

    assert [len(answer) > 0 for answer in answers] == [True] * 4
    assert all(0 <= d.box.x <= d.box.x + d.box.width <= 96.001 for answer in answers for d in answer)
    assert 0 <= people_figures(answers, photographs).coco["AP50"] <= 1


def test_a_broken_photograph_is_named(tmp_path: Path) -> None:
    directory = write_people_set(tmp_path)
    (directory / "images" / "val_1.png").write_bytes(b"no picture")
    engine = PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu")
    with pytest.raises(BadDataset, match=r"val_1\.png"):
        list(find_people(engine, read_photographs(directory, "val")))


def test_a_picture_of_one_colour_is_answered(tmp_path: Path) -> None:
    Image.new("RGB", (50, 20)).save(tmp_path / "black.png")
    engine = PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu")
    (answer,) = find_people(engine, [Photograph(tmp_path / "black.png", 1, *np.zeros((2, 0, 4), np.float32))])

    assert len(answer) <= 100
