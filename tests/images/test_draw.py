"""Skeletons, boxes and masks over a picture."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrformer.geometry.palettes import CAMVID, PARSING
from hrformer.geometry.skeletons import JOINTS
from hrformer.images.draw import draw_boxes, draw_mask, draw_people
from hrformer.images.strokes import draw_disc, draw_line
from tests.images.samples import photo

GREY = np.full((240, 200, 3), 90, np.uint8)


@dataclass(frozen=True)
class Drawn:
    box: tuple[float, float, float, float]
    score: float
    keypoints: np.ndarray


def person(score: float = 0.9, x: float = 0, size: float = 1) -> Drawn:
    """A figure 200 px tall, left joints on the picture's right, as seen from the front."""
    centres = {"nose": (100, 40), "eye": (8, 34), "ear": (16, 38), "shoulder": (35, 75), "elbow": (50, 110)}
    centres |= {"wrist": (55, 145), "hip": (25, 140), "knee": (28, 180), "ankle": (28, 218)}
    points = []
    for name in JOINTS:
        side, _, part = name.rpartition("_")
        dx, y = centres[part]
        points.append((dx if not side else 100 + (dx if side == "left" else -dx), y, 0.9))
    keypoints = np.array(points, np.float32) * [size, size, 1] + [x, 0, 0]
    return Drawn((40 * size + x, 15 * size, 120 * size, 215 * size), score, keypoints)


def joint_colours(pixels: np.ndarray, drawn: Drawn, part: str) -> list[list[int]]:
    """Colours at the left and the right joint."""
    at = [JOINTS.index(f"{side}_{part}") for side in ("left", "right")]
    return [pixels[round(y), round(x)].tolist() for x, y, _ in drawn.keypoints[at]]


@pytest.mark.parametrize("part", ["wrist", "ankle", "shoulder"])
def test_the_left_side_is_warm_and_the_right_side_cold(part: str) -> None:
    left, right = joint_colours(draw_people(GREY, [person()]), person(), part)

    assert left[0] > left[2]
    assert right[2] > right[0]


def test_boxes_are_drawn_as_those_of_people_without_their_skeletons() -> None:
    people = [person(), replace(person(0.4), box=(5, 30, 60, 90))]
    drawn = draw_boxes(GREY, people)
    unseen = [replace(one, keypoints=one.keypoints * [1, 1, 0]) for one in people]

    assert (drawn == draw_people(GREY, unseen)).all()
    assert (drawn != GREY).any()
    assert (draw_boxes(GREY, []) == GREY).all()


def test_the_picture_given_stays_as_it_is() -> None:
    before = GREY.copy()

    drawn = draw_people(GREY, [person()])

    assert (before == GREY).all()
    assert (drawn != GREY).any()


def test_nobody_to_draw_leaves_the_picture() -> None:
    assert (draw_people(GREY, []) == GREY).all()


def test_joints_below_the_threshold_and_their_limbs_are_left_out() -> None:
    hidden = person()
    hidden.keypoints[:, 2] = 0.29

    inside = draw_people(GREY, [hidden])[60:220, 50:150]

    assert (inside == 90).all()


def test_a_joint_exactly_at_the_threshold_is_drawn() -> None:
    seen = person()
    seen.keypoints[:, 2] = 0.5

    assert (draw_people(GREY, [seen], 0.5)[60:220, 50:150] != 90).any()


def test_the_best_person_lies_on_top() -> None:
    best, other = person(0.9), person(0.4)
    other.keypoints[:, 0] = 200 - other.keypoints[:, 0]  # left and right change places

    both = draw_people(GREY, [best, other])

    assert joint_colours(both, best, "wrist") == joint_colours(draw_people(GREY, [best]), best, "wrist")


def test_lines_grow_with_the_person() -> None:
    def painted(size: float) -> float:
        canvas = np.full((round(240 * size), round(200 * size), 3), 90, np.uint8)
        changed = (draw_people(canvas, [person(size=size)]) != 90).any(axis=2)
        return float(changed.sum()) / changed.size

    assert painted(4) == pytest.approx(painted(2), rel=0.25)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=34, max_size=34),
    st.tuples(*[st.floats(-1e5, 1e5)] * 2, *[st.floats(0.1, 1e5)] * 2),
)
def test_what_lies_outside_the_picture_does_no_harm(
    values: list[float], box: tuple[float, float, float, float]
) -> None:
    keypoints = np.column_stack([np.reshape(values, (17, 2)), np.ones(17)]).astype(np.float32)

    drawn = draw_people(GREY[:50, :40], [Drawn(box, 0.5, keypoints)])

    assert (drawn.shape, drawn.dtype) == ((50, 40, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(*[st.floats(20, 80)] * 4, st.floats(0.5, 6))
def test_a_line_covers_the_area_it_should(ax: float, ay: float, bx: float, by: float, radius: float) -> None:
    canvas = np.zeros((100, 100, 3), np.uint8)

    draw_line(canvas, (ax, ay), (bx, by), radius, (255, 255, 255))

    # A rectangle and two half discs; each pixel's share is off by less than a tenth along the outline.
    area = 2 * radius * math.dist((ax, ay), (bx, by)) + math.pi * radius**2
    outline = 2 * math.dist((ax, ay), (bx, by)) + 2 * math.pi * radius
    assert canvas[:, :, 0].sum() / 255 == pytest.approx(area, abs=0.1 * outline + 1)


def test_a_disc_is_round_and_where_it_should_be() -> None:
    canvas = np.zeros((41, 61, 3), np.uint8)

    draw_disc(canvas, (30, 20), 9.5, (255, 255, 255))

    plane = canvas[:, :, 0].astype(float)
    assert (plane == plane[::-1]).all()
    assert (plane == plane[:, ::-1]).all()
    assert (plane[20:, 30:][:11, :11] == plane[20:, 30:][:11, :11].T).all()


CLASSES = np.zeros((58, 75), np.uint8)
CLASSES[10:40, 20:60] = 6
CLASSES[30:50, 30:50] = 3
PICTURE = np.asarray(photo())


def test_the_background_of_a_mask_stays_as_it_is() -> None:
    drawn = draw_mask(PICTURE, CLASSES, PARSING)

    assert (drawn[CLASSES == 0] == PICTURE[CLASSES == 0]).all()


def test_a_class_is_tinted_in_its_colour() -> None:
    drawn = draw_mask(PICTURE, CLASSES, PARSING, opacity=0.4)

    inner = np.s_[12:28, 22:58]
    expected = 0.4 * np.array(PARSING[6][1]) + 0.6 * PICTURE[inner]
    assert np.abs(drawn[inner] - expected).max() <= 1  # opacity in steps of 1/255


def test_a_class_is_outlined_in_its_colour() -> None:
    drawn = draw_mask(PICTURE, CLASSES, PARSING)

    assert (drawn[10, 20:60] == PARSING[6][1]).all()
    assert (drawn[49, 30:50] == PARSING[3][1]).all()


def test_a_class_zero_that_is_no_background_is_tinted_too() -> None:
    drawn = draw_mask(PICTURE, np.zeros_like(CLASSES), CAMVID, opacity=1)

    assert (drawn == CAMVID[0][1]).all()


def test_outlines_run_on_across_strips() -> None:
    tall = np.zeros((3000, 1000), np.uint8)
    tall[:, 500:] = 1

    drawn = draw_mask(np.zeros((3000, 1000, 3), np.uint8), tall, PARSING, opacity=0.5)

    assert (drawn == drawn[:1]).all()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the same"):
        draw_mask(PICTURE, CLASSES[1:], PARSING)
