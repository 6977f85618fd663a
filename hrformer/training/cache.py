"""Labelled pictures, decoded once and held in memory as uint8, all on canvases of one size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

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
from hrformer.geometry.boxes import xywh_to_xyxy

NOBODY, SOMEBODY, CROWD = 0, 1, 2  # what a row of boxes is
READ_AHEAD = 16  # pictures for each thread: more would only fill the memory

T = TypeVar("T")
R = TypeVar("R")


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


def cache_persons(persons: Sequence[LabelledPerson], side_px: int, *, workers: int = 2) -> PoseCache:
    """Reads the pictures of the people; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if a picture is missing or broken.
    """
    canvases = torch.zeros(len(persons), 3, side_px, side_px, dtype=torch.uint8)
    boxes = torch.tensor([person.box for person in persons], dtype=torch.float32)
    joints = torch.stack([torch.from_numpy(person.joints) for person in persons])
    for index, pixels in enumerate(in_order(lambda p: read_picture(p.image).pixels, persons, workers)):
        scale = _place(_planes(pixels), canvases[index])
        boxes[index, :2] = (boxes[index, :2] + 0.5) * scale - 0.5
        boxes[index, 2:] *= scale
        joints[index, :, :2] = (joints[index, :, :2] + 0.5) * scale - 0.5
    return PoseCache(canvases, boxes, joints)


def cache_masks(sources: Sequence[MaskSource], side_px: int, *, workers: int = 2) -> MaskCache:
    """Reads pictures and masks of one set after the other; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if one is missing or broken, or mask and picture differ in size.
    """
    samples = [(sample, source) for source in sources for sample in source.folder.samples]
    count = len(samples)
    canvases = torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8)
    labels = torch.zeros(count, side_px, side_px, dtype=torch.uint8)
    sizes = torch.zeros(count, 2)
    pairs = in_order(lambda pair: _read_pair(*pair), samples, workers)
    for index, (picture, mask) in enumerate(pairs):
        scale = _place(picture, canvases[index])
        height, width = (max(1, round(side * scale)) for side in mask.shape)
        labels[index, :height, :width] = _resize_labels(mask, height, width)
        sizes[index] = torch.tensor([width, height])
    return MaskCache(canvases, labels, sizes)


def cache_photographs(
    photographs: Sequence[Photograph], side_px: int, *, workers: int = 2
) -> PhotographCache:
    """Reads the photographs; those with a side over `side_px` are made smaller.

    raises: BadDataset, naming the file, if a picture is missing or broken.
    """
    count = len(photographs)
    most = max(1, *(len(photograph.boxes) + len(photograph.crowds) for photograph in photographs))
    canvases = torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8)
    sizes, boxes = torch.zeros(count, 2), torch.zeros(count, most, 4)
    kinds = torch.zeros(count, most, dtype=torch.uint8)
    pictures = in_order(lambda photograph: read_picture(photograph.image).pixels, photographs, workers)
    for index, (photograph, pixels) in enumerate(zip(photographs, pictures, strict=True)):
        scale = _place(_planes(pixels), canvases[index])
        height, width = pixels.shape[:2]
        sizes[index] = torch.tensor([width, height]) * scale
        rows = np.concatenate([photograph.boxes, photograph.crowds])
        # COCO's boxes run along the edges of pixels, whose centres lie at integers here.
        boxes[index, : len(rows)] = xywh_to_xyxy(torch.from_numpy(rows)) * scale - 0.5
        kinds[index, : len(photograph.boxes)] = SOMEBODY
        kinds[index, len(photograph.boxes) : len(rows)] = CROWD
    return PhotographCache(canvases, sizes, boxes, kinds)


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


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Results in the order of the items, made by a few threads."""
    remaining = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        while part := list(islice(remaining, READ_AHEAD * workers)):
            yield from pool.map(function, part)
