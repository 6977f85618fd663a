"""What boxes and keypoints say of who is where."""

from pathlib import Path

import numpy as np

from hrformer.data.scribbles import BACKGROUND, PERSON, UNKNOWN, Sketch, fill_in, scribble
from hrformer.geometry.skeletons import JOINTS

NOBODY = np.zeros((0, 4), np.float32)
BOX = np.array([[30, 10, 40, 80]], np.float32)


def upright() -> np.ndarray:
    """Somebody who stands in the box, arms down."""
    joints = np.zeros((17, 3), np.float32)
    places = {
        "nose": (50, 16), "left_ear": (54, 15), "right_ear": (46, 15),
        "left_shoulder": (60, 28), "right_shoulder": (40, 28), "left_hip": (57, 52), "right_hip": (43, 52),
        "left_knee": (57, 70), "left_ankle": (57, 86),
    }  # fmt: skip
    for name, (x, y) in places.items():
        joints[JOINTS.index(name)] = x, y, 2
    return joints


def sketch(crowds: np.ndarray = NOBODY, *skeletons: np.ndarray) -> Sketch:
    return Sketch(Path(), BOX, crowds, tuple((80.0, joints) for joints in skeletons))


def test_outside_all_boxes_there_is_nobody_and_inside_it_is_not_known() -> None:
    mask = scribble((100, 100), sketch())
    assert (mask[:, :25] == BACKGROUND).all()
    assert (mask[10:90, 30:70] == UNKNOWN).all()


def test_a_box_reaches_a_little_farther_than_it_was_drawn() -> None:
    mask = scribble((100, 100), sketch())
    assert mask[50, 27] == UNKNOWN  # 2 px and 3 % of 80 px
    assert mask[50, 24] == BACKGROUND


def test_limbs_trunk_and_face_are_the_persons() -> None:
    mask = scribble((100, 100), sketch(NOBODY, upright()))
    assert mask[40, 50] == mask[60, 57] == mask[80, 57] == mask[15, 50] == PERSON
    assert mask[70, 43] == UNKNOWN  # the right knee is not known
    assert (mask == PERSON).mean() < 0.1


def test_where_a_crowd_stands_nothing_is_known() -> None:
    mask = scribble((100, 100), sketch(np.array([[0, 0, 20, 20], [45, 30, 10, 10]], np.float32), upright()))
    assert mask[10, 10] == mask[35, 50] == UNKNOWN


def test_a_network_fills_in_only_what_is_not_known() -> None:
    mask = np.array([[BACKGROUND, UNKNOWN, UNKNOWN, UNKNOWN, PERSON]], np.uint8)
    somebody = np.array([[True, True, False, False, True]])
    nobody = np.array([[False, False, True, False, True]])
    filled = fill_in(mask, somebody, nobody)
    assert filled.tolist() == [[BACKGROUND, PERSON, BACKGROUND, UNKNOWN, PERSON]]
