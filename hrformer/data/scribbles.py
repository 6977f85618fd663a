"""Coarse masks from boxes and keypoints: what they say for certain of where people are, and no more.

Outside everyone's box there is nobody; along the limbs of a skeleton, between its shoulders and hips, and
about its face there is somebody. A network that knows people from the background already may fill in what it
is sure of inside the boxes (its own labels, where the boxes agree: arXiv:1911.04252).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from hrformer.data.coco import read_persons
from hrformer.data.people import read_photographs
from hrformer.geometry.skeletons import JOINTS, LIMBS

BACKGROUND, PERSON, UNKNOWN = 0, 1, 255

MARGIN = 0.03  # of a box's longer side, and 2 px: labels are not drawn to the pixel
LIMB = 0.04  # of a box's longer side: how wide a limb is drawn
HEAD = 0.9  # of the farthest from the middle of eyes, ears and nose: how far the face reaches
_FACE = range(5)
_TRUNK = [JOINTS.index(name) for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
_BODY = [limb for limb in LIMBS if min(limb) >= len(_FACE)]

Mask = npt.NDArray[np.uint8]
Truth = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sketch:
    """What is known of the people in a photograph."""

    image: Path
    boxes: FloatArray  # (people, 4): x, y, width, height in px, of everyone
    crowds: FloatArray  # (regions, 4): where people stand who have no box of their own
    skeletons: tuple[tuple[float, FloatArray], ...]  # longer side of the box, and joints (17, 3), of some


def read_sketches(directory: Path, split: str) -> list[Sketch]:
    """Of all photographs of a split that has the boxes of everyone. raises: BadDataset."""
    skeletons: dict[int, list[tuple[float, FloatArray]]] = {}
    for person in read_persons(directory, split):
        skeletons.setdefault(person.image_id, []).append((max(person.box[2:]), person.joints))
    return [
        Sketch(one.image, one.boxes, one.crowds, tuple(skeletons.get(one.image_id, ())))
        for one in read_photographs(directory, split)
    ]


def scribble(size: tuple[int, int], sketch: Sketch) -> Mask:
    """The mask `(height, width)` uint8: 0 background, 1 person, 255 where it is not known.

    size: (height, width) of the picture. Joints with v = 0 are not drawn.
    """
    mask = np.full(size, UNKNOWN, np.uint8)
    mask[~_filled(size, sketch.boxes)] = BACKGROUND
    drawn = Image.new("1", size[::-1])
    for longer_side, joints in sketch.skeletons:
        _draw_body(ImageDraw.Draw(drawn), joints, longer_side)
    mask[np.array(drawn)] = PERSON
    mask[_filled(size, sketch.crowds)] = UNKNOWN
    return mask


def fill_in(mask: Mask, somebody: Truth, nobody: Truth) -> Mask:
    """The mask with what a network is sure of, `(height, width)`, where nothing is known."""
    filled = mask.copy()
    filled[(mask == UNKNOWN) & somebody] = PERSON
    filled[(mask == UNKNOWN) & nobody] = BACKGROUND
    return filled


def _filled(size: tuple[int, int], boxes: FloatArray) -> Truth:
    """Which pixels lie in a box or just beside it."""
    area = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(area)
    for x, y, width, height in boxes.tolist():
        margin = 2 + MARGIN * max(width, height)
        draw.rectangle((x - margin, y - margin, x + width + margin, y + height + margin), fill=1)
    return np.array(area)


def _draw_body(draw: ImageDraw.ImageDraw, joints: FloatArray, longer_side: float) -> None:
    known = joints[:, 2] > 0
    points = [(float(x), float(y)) for x, y in joints[:, :2]]
    width = max(1, round(LIMB * longer_side))
    for a, b in _BODY:
        if known[a] and known[b]:
            draw.line((points[a], points[b]), fill=1, width=width)
    if all(known[joint] for joint in _TRUNK):
        draw.polygon([points[joint] for joint in _TRUNK], fill=1)
    face = np.array([points[joint] for joint in _FACE if known[joint]])
    if len(face) > 1:
        (x, y), radius = face.mean(axis=0), HEAD * float(np.abs(face - face.mean(axis=0)).max())
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
