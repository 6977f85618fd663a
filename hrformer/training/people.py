"""Training a network to find everyone in a photograph."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.checkpoints.configuration import variant_of
from hrformer.checkpoints.manifest import Entry
from hrformer.data.figures import read_figures
from hrformer.data.people import Photograph, read_photographs
from hrformer.data.pictures import read_picture
from hrformer.data.unreadable import LeftOut
from hrformer.engine.people import PeopleCoding, PeopleEngine
from hrformer.engine.results import Detection, Person
from hrformer.evaluation.people import find_people, people_figures
from hrformer.geometry.crop import transform
from hrformer.geometry.detections import Targets, encode_boxes
from hrformer.geometry.skeletons import JOINTS
from hrformer.images.draw import draw_people
from hrformer.modeling.config import PeopleHeadConfig
from hrformer.modeling.network import Network
from hrformer.training.augmentation.colour import vary_colour
from hrformer.training.augmentation.geometric import Draw, mirror_matrices, one_of, people_matrices
from hrformer.training.augmentation.pasting import (
    boxes_by,
    covered,
    lay_over,
    paste_matrices,
    worth_pasting,
)
from hrformer.training.augmentation.resampling import cut
from hrformer.training.cache import CROWD, NOBODY, SOMEBODY, cache_photographs
from hrformer.training.contact_sheet import contact_sheet
from hrformer.training.people_losses import people_loss
from hrformer.training.reading import check_pictures
from hrformer.training.recipe import PeopleRecipe

SHOWN = 12  # photographs on the sheet of samples
Size = tuple[int, int]  # (height, width)


class PeopleTask:
    """Photographs in memory; crops are cut, put together and coloured on the device, a batch at a time."""

    def __init__(
        self,
        directories: Sequence[Path],
        recipe: PeopleRecipe,
        device: torch.device,
        left_out: LeftOut | None = None,
    ) -> None:
        if not isinstance(recipe.network.head, PeopleHeadConfig):
            raise ValueError(f"the network has {recipe.network.head}; expected a head that finds people")
        self.recipe, self.device = recipe, device
        self.validation = read_photographs(directories[0], "val")
        check_pictures(photograph.image for photograph in self.validation)
        self.cache = cache_photographs(
            [photograph for directory in directories for photograph in _to_train_on(directory)],
            recipe.canvas_px,
            left_out,
        )
        self.size = len(self.cache.canvases)
        self.alone = worth_pasting(self.cache.boxes, self.cache.kinds)  # photograph and row of people
        self.served_px = max(side for size in recipe.input_sizes for side in size)
        self.measured_on = f"{directories[0].resolve().name}/val, {len(self.validation)} photographs"

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Targets]:
        """Crops uint8, the last ones mosaics of four photographs, and what the network should say of them."""
        recipe, size = self.recipe, one_of(self.recipe.crops, generator)
        mosaics = math.floor(recipe.augmentation.mosaic * len(indices))
        whole, first = indices[: len(indices) - mosaics], indices[len(indices) - mosaics :]
        crops, boxes, kinds = self._crops(whole, size, generator)
        if mosaics:
            others = Draw(generator, 3 * mosaics, self.device).rows(self.size)
            tile = (size[0] // 2, size[1] // 2)
            tiles = self._crops(torch.cat([first, others]), tile, generator)
            crops, boxes, kinds = _joined((crops, boxes, kinds), four_in_one(*tiles))
        draw = Draw(generator, len(indices), self.device)
        crops = vary_colour(crops, recipe.augmentation.colour, draw).round().to(torch.uint8)
        return crops, encode_boxes(boxes, kinds == SOMEBODY, kinds == CROWD, size)

    def _crops(
        self, indices: Tensor, size: Size, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Varied crops float32, the boxes in them `(n, most, 4)`, and what the boxes are `(n, most)`."""
        recipe, draw = self.recipe, Draw(generator, len(indices), self.device)
        canvases, sizes, boxes, kinds = (
            values[indices].to(self.device, non_blocking=True)
            for values in (self.cache.canvases, self.cache.sizes, self.cache.boxes, self.cache.kinds)
        )
        matrices = people_matrices(sizes, size, self.served_px, recipe.augmentation, draw)
        matrices = mirror_matrices(matrices, draw.chance(recipe.augmentation.flip), size[1])
        boxes, kinds = boxes_in_crops(boxes, kinds, matrices, size, recipe)
        crops = cut(canvases, matrices, size)
        if recipe.augmentation.paste > 0:
            return self._with_pasted(crops, boxes, kinds, draw)
        return crops, boxes, kinds

    def _with_pasted(
        self, crops: Tensor, boxes: Tensor, kinds: Tensor, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Somebody of another photograph in some of the crops; every crop has a row of boxes more."""
        if len(self.alone) == 0:
            return crops, boxes, kinds
        photographs, rows = self.alone[draw.rows(len(self.alone))].T
        people = self.cache.boxes[photographs, rows].to(self.device)
        size, augmentation = (crops.shape[2], crops.shape[3]), self.recipe.augmentation
        matrices = paste_matrices(people, size, augmentation.flip, draw)
        chosen = draw.chance(augmentation.paste)
        pasted = boxes_by(matrices, people)
        kinds = torch.where(chosen[:, None], covered(boxes, kinds, pasted), kinds)
        into = chosen.nonzero()[:, 0]
        taken = photographs[into.cpu()]
        others = cut(self.cache.canvases[taken].to(self.device), matrices[into], size)
        whole = torch.nn.functional.pad(self.cache.sizes[taken].to(self.device), (2, 0)) - 0.5
        crops[into] = lay_over(crops[into], others, pasted[into], boxes_by(matrices[into], whole))
        added = torch.where(chosen, SOMEBODY, NOBODY).to(kinds.dtype)
        return crops, torch.cat([boxes, pasted[:, None]], dim=1), torch.cat([kinds, added[:, None]], dim=1)

    def loss(self, outputs: tuple[Tensor, Tensor], targets: Targets) -> Tensor:
        """Focal loss of the centres, GIoU loss of the boxes."""
        centres, sides = outputs
        return people_loss(centres.float(), sides, targets, box_weight=self.recipe.box_weight)

    def evaluate(self, network: Network) -> dict[str, float]:
        """AP50, COCO's other figures, recall by size, and the share of empty photographs with alarms."""
        figures = people_figures(list(find_people(self._engine(network), self.validation)), self.validation)
        return {
            "AP50": figures.coco["AP50"],
            **figures.coco,
            **{f"recall50_{size}": value for size, value in figures.recall50.items()},
            **({"false_alarms": figures.false_alarms} if figures.empty_photographs else {}),
        }

    def samples(self, network: Network) -> npt.NDArray[np.uint8]:
        """Boxes on photographs spread over the validation split."""
        engine = self._engine(network)
        shown = self.validation[:: max(1, len(self.validation) // SHOWN)][:SHOWN]
        pictures = [read_picture(photograph.image).pixels for photograph in shown]
        found = [
            [_outlined(d) for d in answer if d.score >= engine.coding.threshold]
            for answer in find_people(engine, shown)
        ]
        return contact_sheet([draw_people(*pair) for pair in zip(pictures, found, strict=True)])

    def entry(self, name: str, metrics: Mapping[str, float | str]) -> Entry:
        return Entry(
            name=name,
            task="people",
            variant=variant_of(self.recipe.network.backbone),
            file=Path(),
            sha256="",
            input_sizes=self.recipe.input_sizes,
            precision="float16",
            config=self.recipe.network,
            labels="person",
            metrics=metrics,
            decode=asdict(PeopleCoding(flip_test=True)),
        )

    def _engine(self, network: Network) -> PeopleEngine:
        return PeopleEngine(network, self.entry("", {}), device=str(self.device), precision="float32")


def _to_train_on(directory: Path) -> list[Photograph]:
    """A set of boxes in COCO's format, or a folder of masks with one figure in each."""
    if (directory / "classes.json").is_file():
        return read_figures(directory, "train")
    return read_photographs(directory, "train")


def boxes_in_crops(
    boxes: Tensor, kinds: Tensor, matrices: Tensor, size: Size, recipe: PeopleRecipe
) -> tuple[Tensor, Tensor]:
    """Boxes `(n, k, 4)` of canvases as their crops of this size show them, and what they are there `(n, k)`.

    What leaves the crop is cut off. People of whom too little is left to be sure of are treated as crowds.
    """
    corners = transform(boxes.reshape(len(boxes), -1, 2), matrices).reshape(*kinds.shape, 2, 2)
    corners = torch.stack([corners.amin(dim=2), corners.amax(dim=2)], dim=2)  # mirrored, they change sides
    limit = corners.new_tensor([size[1], size[0]]) - 0.5
    cut = torch.minimum(corners.clamp(min=-0.5), limit)
    whole, sides = corners[:, :, 1] - corners[:, :, 0], cut[:, :, 1] - cut[:, :, 0]
    visible = sides.prod(dim=2) / whole.prod(dim=2).clamp(min=1e-6)
    unsure = (visible < recipe.least_visible) | (sides.amax(dim=2) < recipe.smallest_px)
    kinds = torch.where(unsure & (kinds == SOMEBODY), CROWD, kinds)
    return cut.flatten(2), torch.where(visible > 0, kinds, NOBODY)


def four_in_one(tiles: Tensor, boxes: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mosaics of four tiles each: tile i of n goes into mosaic i modulo n / 4.

    tiles: `(n, 3, h, w)`; boxes: `(n, k, 4)`; kinds: `(n, k)`.
    returns: `(n / 4, 3, 2 h, 2 w)`, with the boxes and kinds of all four.
    """
    height, width = tiles.shape[2:]
    a, b, c, d = tiles.chunk(4)
    mosaics = torch.cat([torch.cat([a, b], dim=3), torch.cat([c, d], dim=3)], dim=2)
    offsets = boxes.new_tensor([[0, 0], [width, 0], [0, height], [width, height]]).repeat(1, 2)
    moved = [part + offset for part, offset in zip(boxes.chunk(4), offsets, strict=True)]
    return mosaics, torch.cat(moved, dim=1), torch.cat(kinds.chunk(4), dim=1)


def _joined(
    few: tuple[Tensor, Tensor, Tensor], many: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """One batch of two; the first one's rows of boxes are filled up with empty ones."""
    (crops, boxes, kinds), missing = few, many[1].shape[1] - few[1].shape[1]
    boxes = torch.nn.functional.pad(boxes, (0, 0, 0, missing))
    kinds = torch.nn.functional.pad(kinds, (0, missing))
    return tuple(torch.cat(pair) for pair in zip((crops, boxes, kinds), many, strict=True))  # type: ignore[return-value]


def _outlined(detection: Detection) -> Person:
    """The person as a drawing wants it, without keypoints."""
    return Person(detection.box, detection.score, np.zeros((len(JOINTS), 3), np.float32))
