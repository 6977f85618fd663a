"""How good keypoints are."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.data.coco import LabelledPerson, read_persons
from hrformer.data.errors import BadDataset
from hrformer.engine.pose import PoseEngine
from hrformer.engine.predictor import Predictor
from hrformer.engine.results import Box, Person
from hrformer.evaluation.coco import STATS
from hrformer.evaluation.pose import figures_of_persons, pose_figures, predict_persons
from hrformer.geometry.skeletons import OKS_SIGMAS
from tests.material import ASTRONAUT, pose_entry, seeded, shallow_pose, write_pose_set


@pytest.fixture(scope="module")
def engine() -> PoseEngine:
    return PoseEngine(seeded(shallow_pose()), pose_entry(), device="cpu")


def labelled(index: int, *, area: float = 4900.0, label: str = "human") -> LabelledPerson:
    x = 20.0 * np.arange(17) % 97
    joints = np.stack([x, 5.0 * np.arange(17), np.full(17, 2)], axis=1).astype(np.float32)
    box = (0.0, 0.0, 97.0, 80.0)
    return LabelledPerson(Path(f"{index}.jpg"), index, 10 + index, box, joints, area, label)


def answer(truth: LabelledPerson, offset_px: float = 0.0, score: float = 0.9) -> Person:
    keypoints = truth.joints.copy()
    keypoints[:, 0] += offset_px
    keypoints[:, 2] = score
    return Person(Box(*truth.box), score, keypoints)


def test_right_answers_have_all_figures_1() -> None:
    persons = [labelled(0), labelled(1, area=20_000)]
    figures = pose_figures([answer(truth) for truth in persons], persons)

    assert figures.mean_oks == pytest.approx(1)
    assert list(figures.coco.values()) == pytest.approx([1] * 10)
    assert figures.persons == 2


def test_oks_falls_with_the_distance_as_coco_defines_it() -> None:
    truth = labelled(0, area=2500)
    figures = pose_figures([answer(truth, offset_px=5)], [truth])
    spread = 2 * np.array(OKS_SIGMAS)  # distance over sqrt(area) that gives exp(-1/2)

    assert figures.mean_oks == pytest.approx(np.exp(-0.5 * (5 / 50 / spread) ** 2).mean())


def test_joints_without_a_label_do_not_count() -> None:
    truth = labelled(0)
    joints = truth.joints.copy()
    joints[5:, 2] = 0
    found = answer(truth)
    found.keypoints[5:, :2] += 500

    assert pose_figures([found], [replace(truth, joints=joints)]).mean_oks == pytest.approx(1)


def test_mean_oks_is_told_by_where_labels_come_from() -> None:
    persons = [labelled(0), labelled(1, label="human14"), labelled(2, label="human14+teacher_head")]
    people = [answer(persons[0]), answer(persons[1], 1000), answer(persons[2])]
    figures = pose_figures(people, persons)

    assert figures.mean_oks_by_label == {"human": pytest.approx(1), "human14": pytest.approx(0.5)}
    assert figures.mean_oks == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("offset_px", "shares"), [(0, (1, 1)), (9.6, (1, 1)), (9.8, (0, 1)), (19.3, (0, 1)), (19.5, (0, 0))]
)
def test_pck_asks_for_a_tenth_and_a_fifth_of_the_longer_side_of_the_box(
    offset_px: float, shares: tuple[float, float]
) -> None:
    persons = [labelled(0), labelled(1)]  # 97 px wide, 80 high
    figures = figures_of_persons([answer(truth, offset_px) for truth in persons], persons)
    found = {figure.name: figure.value for figure in figures}

    assert (found["pck_0.1"], found["pck_0.2"]) == shares


def test_pck_counts_joints_and_not_people() -> None:
    persons = [labelled(0), labelled(1)]
    persons[1].joints[1:, 2] = 0
    figures = figures_of_persons([answer(persons[0]), answer(persons[1], 1000)], persons)

    assert {f.name: f.value for f in figures}["pck_0.2"] == pytest.approx(17 / 18)


def test_all_figures_are_those_without_intervals_and_lie_in_them() -> None:
    random = np.random.default_rng(0)
    persons = [labelled(i, label=("human", "human14")[i % 2]) for i in range(40)]
    people = [answer(truth, float(random.normal(0, 8)), float(random.random())) for truth in persons]
    figures = figures_of_persons(people, persons)
    plain = pose_figures(people, persons)

    assert {f.name: f.value for f in figures if f.group == "coco"} == plain.coco
    assert {f.name: f.value for f in figures if f.group == "mean_oks_by_label"} == plain.mean_oks_by_label
    assert figures[0].value == plain.mean_oks
    assert list(plain.coco) == list(STATS)
    assert all(f.low <= f.value <= f.high for f in figures if f.value > 0), figures


def test_people_of_one_picture_are_drawn_together() -> None:
    """Half of the people are right, but all are in one picture: nothing is known of others."""
    persons = [replace(labelled(i), image_id=0) for i in range(10)]
    people = [answer(truth, 1000 * (i % 2)) for i, truth in enumerate(persons)]

    assert math.isnan(figures_of_persons(people, persons)[0].low)


def test_half_of_the_people_right_is_half_the_recall() -> None:
    persons = [labelled(0), labelled(1)]
    figures = pose_figures([answer(persons[0]), answer(persons[1], 1000, score=0.1)], persons)

    assert figures.coco["AR"] == pytest.approx(0.5)
    # All precision up to recall 0.5: 51 of COCO's 101 points.
    assert figures.coco["AP"] == pytest.approx(51 / 101)


def test_a_size_that_nobody_has_is_minus_1() -> None:
    truth = labelled(0, area=96.0**2 * 2)
    figures = pose_figures([answer(truth)], [truth])

    assert figures.coco["AP_medium"] == -1
    assert figures.coco["AP_large"] == pytest.approx(1)


def test_people_are_answered_in_their_order_whatever_the_batch(tmp_path: Path, engine: PoseEngine) -> None:
    persons = read_persons(write_pose_set(tmp_path, people=5), "val")
    few, many = (list(predict_persons(engine, persons, batch_size=size)) for size in (2, 32))

    assert [person.box for person in few] == [person.box for person in persons]
    for one, other in zip(few, many, strict=True):
        np.testing.assert_allclose(one.keypoints[:, 2], other.keypoints[:, 2], atol=0.001)


@pytest.mark.parametrize("flip_test", [False, True])
def test_an_answer_measured_is_the_answer_given(tmp_path: Path, engine: PoseEngine, flip_test: bool) -> None:
    file = tmp_path / "large.jpg"
    with Image.open(ASTRONAUT) as image:
        image.resize((1500, 1100)).save(file)  # so large that it is decoded at a fraction
    truth = replace(labelled(0), image=file, box=(300.0, 100.0, 800.0, 900.0))
    (measured,) = predict_persons(engine, [truth], flip_test=flip_test)
    (given,) = Predictor(engine).pose(file, [truth.box], flip_test=flip_test)

    assert np.array_equal(measured.keypoints, given.keypoints)
    assert measured.score == given.score


def test_a_box_outside_its_picture_is_named(tmp_path: Path, engine: PoseEngine) -> None:
    (tmp_path / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
    truth = replace(labelled(3), image=tmp_path / "a.jpg", box=(600.0, 0.0, 10.0, 10.0))
    with pytest.raises(BadDataset, match=r"a\.jpg, annotation 13: box 0 lies outside the image"):
        list(predict_persons(engine, [truth]))


def test_a_missing_picture_is_named(tmp_path: Path, engine: PoseEngine) -> None:
    with pytest.raises(BadDataset, match=r"0\.jpg cannot be read"):
        list(predict_persons(engine, [replace(labelled(0), image=tmp_path / "0.jpg")]))


def test_nothing_is_printed_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    pose_figures([answer(labelled(0))], [labelled(0)])

    assert capsys.readouterr() == ("", "")
