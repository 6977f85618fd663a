"""Labelled pictures, decoded once and held in memory as uint8, all on canvases of one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from hrformer.data.coarse import MaskSource
from hrformer.data.coco import LabelledPerson
from hrformer.data.mask_folder import MaskSample, read_mask
from hrformer.data.people import Photograph
from hrformer.data.pictures import read_picture
from hrformer.data.unreadable import LeftOut
from hrformer.geometry.boxes import xywh_to_xyxy
from hrformer.training.reading import readable

NOBODY, SOMEBODY, CROWD = 0, 1, 2  # what a row of boxes is


@dataclass(frozen=True)
class PoseCache:
    """People of a set; row i of each tensor is person i. Coordinates are pixels of the canvas."""

    canvases: Tensor  # (n, 3, side, side) uint8, the picture at the top left, black elsewhere
    boxes: Tensor  # (n, 4) xywh float32
    joints: Tensor  # (n, 17, 3) float32: x, y, v


@dataclass(frozen=True)
class MaskCache:
    """Pictures and their masks; row i of each tensor is picture i."""

    canvases: Tensor  # (n, 3, side, side) uint8, the picture at the top left, black elsewhere
    labels: Tensor  # (n, side, side) uint8: label + 1, and 0 where there is no label or no picture
    sizes: Tensor  # (n, 2) float32: width and height of the picture on its canvas


@dataclass(frozen=True)
class PhotographCache:
    """Whole photographs and all people in them; row i of each tensor is photograph i."""

    canvases: Tensor  # (n, 3, side, side) uint8, the picture at the top left, black elsewhere
    sizes: Tensor  # (n, 2) float32: width and height of the picture on its canvas
    boxes: Tensor  # (n, most, 4) float32 left, top, right, bottom in px of the canvas; rows beyond are zero
    kinds: Tensor  # (n, most) uint8: NOBODY, SOMEBODY or CROWD


@dataclass(frozen=True)
class ClassCache:
    """Pictures and what they show; row i of each tensor is picture i."""

    canvases: Tensor  # (n, 3, side, side) uint8, the picture at the top left, black elsewhere
    sizes: Tensor  # (n, 2) float32: width and height of the picture on its canvas
    classes: Tensor  # (n,) int64


def cache_persons(
    persons: Sequence[LabelledPerson], side_px: int, left_out: LeftOut | None = None
) -> PoseCache:
    """Reads the pictures of the people; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if a picture is missing or broken, unless such are left out.
    """
    count, row = len(persons), -1
    canvases = torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8)
    boxes, joints = torch.zeros(count, 4), torch.zeros(count, *persons[0].joints.shape)
    pictures = readable(lambda person: read_picture(person.image).pixels, persons, left_out)
    for row, (person, pixels) in enumerate(pictures):
        scale = _place(_planes(pixels), canvases[row])
        boxes[row], joints[row] = torch.tensor(person.box), torch.from_numpy(person.joints)
        boxes[row, :2] = (boxes[row, :2] + 0.5) * scale - 0.5
        boxes[row, 2:] *= scale
        joints[row, :, :2] = (joints[row, :, :2] + 0.5) * scale - 0.5
    return PoseCache(canvases[: row + 1], boxes[: row + 1], joints[: row + 1])


def cache_masks(sources: Sequence[MaskSource], side_px: int, left_out: LeftOut | None = None) -> MaskCache:
    """Reads pictures and masks of one set after the other; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if one is missing or broken, unless such are left out, or if mask and
        picture differ in size.
    """
    samples = [(sample, source) for source in sources for sample in source.folder.samples]
    count, row = len(samples), -1
    canvases = torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8)
    labels = torch.zeros(count, side_px, side_px, dtype=torch.uint8)
    sizes = torch.zeros(count, 2)
    pairs = readable(lambda pair: _read_pair(*pair), samples, left_out)
    for row, (_, (picture, mask)) in enumerate(pairs):
        scale = _place(picture, canvases[row])
        height, width = (max(1, round(side * scale)) for side in mask.shape)
        labels[row, :height, :width] = _resize_labels(mask, height, width)
        sizes[row] = torch.tensor([width, height])
    return MaskCache(canvases[: row + 1], labels[: row + 1], sizes[: row + 1])


def cache_photographs(
    photographs: Sequence[Photograph], side_px: int, left_out: LeftOut | None = None
) -> PhotographCache:
    """Reads the photographs; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if a picture is missing or broken, unless such are left out.
    """
    count, row = len(photographs), -1
    most = max(1, *(len(photograph.boxes) + len(photograph.crowds) for photograph in photographs))
    canvases = torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8)
    sizes, boxes = torch.zeros(count, 2), torch.zeros(count, most, 4)
    kinds = torch.zeros(count, most, dtype=torch.uint8)
    pictures = readable(lambda photograph: read_picture(photograph.image).pixels, photographs, left_out)
    for row, (photograph, pixels) in enumerate(pictures):
        scale = _place(_planes(pixels), canvases[row])
        height, width = pixels.shape[:2]
        sizes[row] = torch.tensor([width, height]) * scale
        rows = np.concatenate([photograph.boxes, photograph.crowds])
        # COCO's boxes run along the edges of pixels, whose centres lie at integers here.
        boxes[row, : len(rows)] = xywh_to_xyxy(torch.from_numpy(rows)) * scale - 0.5
        kinds[row, : len(photograph.boxes)] = SOMEBODY
        kinds[row, len(photograph.boxes) : len(rows)] = CROWD
    return PhotographCache(*(values[: row + 1] for values in (canvases, sizes, boxes, kinds)))


def cache_classes(
    samples: Sequence[tuple[Path, int]], side_px: int, left_out: LeftOut | None = None
) -> ClassCache:
    """Reads the pictures, each with its class; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if a picture is missing or broken, unless such are left out.
    """
    count, row = len(samples), -1
    canvases = torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8)
    sizes, classes = torch.zeros(count, 2), torch.zeros(count, dtype=torch.int64)
    pictures = readable(lambda sample: read_picture(sample[0]).pixels, samples, left_out)
    for row, ((_, index), pixels) in enumerate(pictures):
        scale = _place(_planes(pixels), canvases[row])
        height, width = pixels.shape[:2]
        sizes[row], classes[row] = torch.tensor([width, height]) * scale, index
    return ClassCache(canvases[: row + 1], sizes[: row + 1], classes[: row + 1])


def _read_pair(sample: MaskSample, source: MaskSource) -> tuple[Tensor, Tensor]:
    picture, folder = read_picture(sample.image), source.folder
    size = (picture.height, picture.width)
    mask = read_mask(sample.mask, len(folder.classes), folder.ignore, size=size)
    table = np.zeros(256, np.uint8)
    table[: len(source.labels)] = np.array(source.labels) + 1
    table[folder.ignore] = 0
    return _planes(picture.pixels), torch.from_numpy(table[mask])


def _planes(pixels: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _place(picture: Tensor, canvas: Tensor) -> float:
    """Puts the picture at the top left of the canvas, made smaller where it is too large; gives the scale."""
    side = canvas.shape[-1]
    height, width = picture.shape[1:]
    scale = min(1.0, side / max(height, width))
    if scale < 1:
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        smaller = F.interpolate(picture[None].float(), size=size, mode="bilinear", antialias=True)
        picture = smaller[0].round().clamp(0, 255).to(torch.uint8)
    canvas[:, : picture.shape[1], : picture.shape[2]] = picture
    return scale


def _resize_labels(mask: Tensor, height: int, width: int) -> Tensor:
    resized = F.interpolate(mask[None, None].float(), size=(height, width), mode="nearest-exact")
    return resized[0, 0].to(torch.uint8)
