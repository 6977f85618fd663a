"""Skeletons, boxes and masks over a picture."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hrformer.geometry.palettes import Palette
from hrformer.geometry.skeletons import JOINTS, LIMBS
from hrformer.images.colour import strips
from hrformer.images.strokes import Colour, Point, draw_disc, draw_line

_LEFT: Colour = (255, 145, 20)
_RIGHT: Colour = (20, 175, 255)
_CENTRE: Colour = (255, 240, 120)
_SHADOW: Colour = (12, 12, 20)
_WHITE: Colour = (255, 255, 255)
_BOXES: tuple[Colour, ...] = (
    (120, 220, 90),
    (255, 105, 130),
    (185, 140, 255),
    (255, 210, 60),
    (60, 215, 200),
    (255, 150, 80),
    (130, 170, 255),
    (235, 130, 210),
)


class DrawnBox(Protocol):
    """What is drawn of somebody who was found."""

    @property
    def box(self) -> Sequence[float]:
        """x, y, width and height in pixels."""

    @property
    def score(self) -> float:
        """0 to 1."""


class DrawnPerson(DrawnBox, Protocol):
    """What is drawn of a person."""

    @property
    def keypoints(self) -> np.ndarray:
        """`(17, 3)`: x and y in pixels, score."""


Drawn = TypeVar("Drawn", bound=DrawnBox)


def draw_people(
    pixels: np.ndarray, people: Sequence[DrawnPerson], keypoint_threshold: float = 0.3
) -> np.ndarray:
    """The picture with boxes, scores and skeletons: the person's left side orange, the right side blue.

    pixels: `(height, width, 3)` uint8; stays as it is.
    people: best first, which end on top.
    keypoint_threshold: joints of a lower score, and limbs that end in one, are left out.
    returns: `(height, width, 3)` uint8.
    """
    drawn = pixels.copy()
    for person, colour in _coloured(people):
        _draw_box(drawn, person, colour)
    for person, _ in _coloured(people):
        _draw_skeleton(drawn, person, keypoint_threshold)
    for person, colour in _coloured(people):
        _draw_score(drawn, person, colour)
    return drawn


def draw_boxes(pixels: np.ndarray, people: Sequence[DrawnBox]) -> np.ndarray:
    """The picture with the boxes and scores of people, as `draw_people` draws them."""
    drawn = pixels.copy()
    for person, colour in _coloured(people):
        _draw_box(drawn, person, colour)
    for person, colour in _coloured(people):
        _draw_score(drawn, person, colour)
    return drawn


def _coloured(people: Sequence[Drawn]) -> list[tuple[Drawn, Colour]]:
    """Each with the colour of the box, in the order of drawing: the first on top."""
    return [(person, _BOXES[place % len(_BOXES)]) for place, person in enumerate(people)][::-1]


def _line_radius(person: DrawnBox) -> float:
    """Half the width of a limb in pixels: a person 400 px tall gets lines of 4 px."""
    return min(max(0.0052 * max(person.box[2], person.box[3]), 1.0), 24.0)


def _draw_skeleton(pixels: np.ndarray, person: DrawnPerson, threshold: float) -> None:
    radius = _line_radius(person)
    points: list[Point] = [(float(x), float(y)) for x, y, _ in person.keypoints]
    seen = [bool(score >= threshold) for score in person.keypoints[:, 2]]
    limbs = [(a, b) for a, b in LIMBS if seen[a] and seen[b]]
    joints = [joint for joint in range(len(JOINTS)) if seen[joint]]
    rim = max(0.8, 0.4 * radius)
    for a, b in limbs:
        draw_line(pixels, points[a], points[b], radius + rim, _SHADOW, 0.55)
    for a, b in limbs:
        draw_line(pixels, points[a], points[b], radius, _side_colour(a, b))
    for joint in joints:
        draw_disc(pixels, points[joint], 1.6 * radius + rim, _SHADOW, 0.8)
        draw_disc(pixels, points[joint], 1.6 * radius, _WHITE)
        draw_disc(pixels, points[joint], 1.1 * radius, _side_colour(joint, joint))


def _side_colour(a: int, b: int) -> Colour:
    """The colour of a limb between two joints, or of a joint."""
    for side, colour in (("left_", _LEFT), ("right_", _RIGHT)):
        if JOINTS[a].startswith(side) and JOINTS[b].startswith(side):
            return colour
    return _CENTRE


def _draw_box(pixels: np.ndarray, person: DrawnBox, colour: Colour) -> None:
    x, y, width, height = person.box
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
    radius = _box_radius(person)
    for start, end in sides:
        draw_line(pixels, start, end, radius + 0.8, _SHADOW, 0.4)
    for start, end in sides:
        draw_line(pixels, start, end, radius, colour)


def _box_radius(person: DrawnBox) -> float:
    return max(0.7, 0.4 * _line_radius(person))


def _draw_score(pixels: np.ndarray, person: DrawnBox, colour: Colour) -> None:
    """Writes the score on a plate that stands on the box, or hangs in it at the picture's top edge."""
    text = f"{person.score:.2f}"
    corner = (person.box[0] - _box_radius(person), person.box[1])
    font = ImageFont.load_default(min(max(6 * _line_radius(person), 11), 48))
    left, top, right, bottom = font.getbbox(text)
    margin = max(2, round(0.25 * (bottom - top)))
    plate = (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin)
    x = round(min(max(corner[0], 0), max(0, pixels.shape[1] - plate[0])))
    y = round(corner[1]) - plate[1]
    y = min(max(y if y >= 0 else round(corner[1]), 0), max(0, pixels.shape[0] - plate[1]))
    label = Image.new("RGB", plate, colour)
    ImageDraw.Draw(label).text((margin - left, margin - top), text, _SHADOW, font)
    target = pixels[y : y + plate[1], x : x + plate[0]]
    target[:] = np.asarray(label)[: target.shape[0], : target.shape[1]]


def draw_mask(
    pixels: np.ndarray, class_map: np.ndarray, palette: Palette, opacity: float = 0.55
) -> np.ndarray:
    """The picture with each class tinted in its colour and outlined; a class named background stays as it is.

    pixels: `(height, width, 3)` uint8; stays as it is.
    class_map: `(height, width)` uint8.
    opacity: of the tint, 0 to 1.
    returns: `(height, width, 3)` uint8.
    raises: ValueError if the sizes differ.
    """
    if pixels.shape[:2] != class_map.shape:
        raise ValueError(
            f"the class map is of shape {class_map.shape}, the picture {pixels.shape[:2]}; expected the same"
        )
    colours = np.array([colour for _, colour in palette], np.uint8)
    tints = np.array([0 if name == "background" else round(255 * opacity) for name, _ in palette], np.uint8)
    drawn = np.empty_like(pixels)
    thickness = max(1, round(max(class_map.shape) / 900))
    for rows in strips(*class_map.shape):
        classes = class_map[rows]
        tint = np.take(tints, classes)
        tint[_outlines(class_map, rows, thickness) & (tint > 0)] = 255
        layers = [Image.fromarray(layer) for layer in (np.take(colours, classes, axis=0), pixels[rows], tint)]
        drawn[rows] = np.asarray(Image.composite(*layers))
    return drawn


def _outlines(class_map: np.ndarray, rows: slice, thickness: int) -> np.ndarray:
    """Whether another class lies within `thickness` pixels along a row or column."""
    top, bottom = max(0, rows.start - thickness), min(len(class_map), rows.stop + thickness)
    near = class_map[top:bottom]
    edge = np.zeros(near.shape, bool)
    for step in range(1, thickness + 1):
        down, across = near[step:] != near[:-step], near[:, step:] != near[:, :-step]
        edge[step:] |= down
        edge[:-step] |= down
        edge[:, step:] |= across
        edge[:, :-step] |= across
    return edge[rows.start - top : rows.start - top + rows.stop - rows.start]
