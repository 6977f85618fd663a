"""Training a network to say what a picture shows."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hrformer.checkpoints.configuration import variant_of
from hrformer.checkpoints.manifest import Entry
from hrformer.data.errors import BadDataset
from hrformer.data.image_folder import ImageFolder, read_image_folder
from hrformer.data.pictures import read_picture
from hrformer.data.unreadable import LeftOut
from hrformer.engine.classification import ClassificationEngine
from hrformer.modeling.config import ClassificationHeadConfig
from hrformer.modeling.network import Network
from hrformer.training.augmentation.colour import blur, erase, vary_colour
from hrformer.training.augmentation.geometric import Draw, class_matrices, mirror_matrices
from hrformer.training.augmentation.resampling import cut
from hrformer.training.cache import cache_classes
from hrformer.training.contact_sheet import CELL_PX, contact_sheet
from hrformer.training.reading import check_pictures, in_order
from hrformer.training.recipe import ClassRecipe

SHOWN = 12  # pictures on the sheet of samples
TOGETHER = 32  # pictures that the network sees at once when it is measured
TOP = 5
RIGHT, WRONG = (60, 180, 75), (220, 60, 60)


class ClassificationTask:
    """Pictures in memory; crops are cut and coloured on the device, a batch at a time."""

    def __init__(
        self,
        directories: Sequence[Path],
        recipe: ClassRecipe,
        device: torch.device,
        left_out: LeftOut | None = None,
    ) -> None:
        """The first folder says the classes; the others have the same ones."""
        self.recipe, self.device = recipe, device
        self.name = directories[0].resolve().name
        self.validation = read_image_folder(directories[0], "val")
        self.classes = self.validation.classes
        _check_head(recipe, self.classes)
        sets = [read_image_folder(directory, "train") for directory in directories]
        for directory, found in zip(directories, sets, strict=True):
            _check_classes(directory, found, self.classes)
        check_pictures(file for file, _ in self.validation.samples)
        samples = [sample for found in sets for sample in found.samples]
        self.cache = cache_classes(samples, recipe.canvas_px, left_out)
        self.size = len(self.cache.classes)
        self.measured_on = f"{self.name}/val, {len(self.validation.samples)} pictures"

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crops uint8, and the classes `(n,)` int64."""
        size, varied = self.recipe.input_size, self.recipe.augmentation
        draw = Draw(generator, len(indices), self.device)
        canvases, sizes, classes = (
            values[indices].to(self.device, non_blocking=True)
            for values in (self.cache.canvases, self.cache.sizes, self.cache.classes)
        )
        matrices = class_matrices(sizes, size, varied, draw)
        matrices = mirror_matrices(matrices, draw.chance(varied.flip), size[1])
        crops = vary_colour(blur(cut(canvases, matrices, size), varied.blur, draw), varied.colour, draw)
        return erase(crops, varied.erase, draw).round().to(torch.uint8), classes

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy; a part of each label is spread over all classes (arXiv:1512.00567, section 7)."""
        return F.cross_entropy(outputs.float(), targets, label_smoothing=self.recipe.label_smoothing)

    def evaluate(self, network: Network) -> dict[str, float]:
        """Share of pictures whose class is the likeliest, and among the five likeliest if there are more."""
        logits = torch.cat(list(self._logits(network, [file for file, _ in self.validation.samples])))
        truths = torch.tensor([index for _, index in self.validation.samples])
        best = logits.topk(min(TOP, len(self.classes))).indices == truths[:, None]
        figures = {"top_1": float(best[:, 0].float().mean())}
        if len(self.classes) > TOP:
            figures["top_5"] = float(best.any(dim=1).float().mean())
        return figures

    def samples(self, network: Network) -> npt.NDArray[np.uint8]:
        """Crops of pictures spread over the validation split, with the class that is found."""
        shown = self.validation.samples[:: max(1, len(self.validation.samples) // SHOWN)][:SHOWN]
        engine = self._engine(network)
        crops = [_crop(engine, file).permute(1, 2, 0).numpy() for file, _ in shown]
        answers = torch.cat(list(self._logits(network, [file for file, _ in shown]))).argmax(dim=1).tolist()
        return contact_sheet(
            [
                _captioned(crop, self.classes[answer], RIGHT if answer == truth else WRONG)
                for crop, answer, (_, truth) in zip(crops, answers, shown, strict=True)
            ]
        )

    def entry(self, name: str, metrics: Mapping[str, float | str]) -> Entry:
        return Entry(
            name=name,
            task="classification",
            variant=variant_of(self.recipe.network.backbone),
            file=Path(),
            sha256="",
            input_sizes=(self.recipe.input_size,),
            precision="float16",
            config=self.recipe.network,
            labels=self.name,
            metrics=metrics,
            classes=self.classes,
        )

    def _logits(self, network: Network, files: Sequence[Path]) -> Iterator[Tensor]:
        """Logits of the pictures, `(up to 32, classes)` at a time."""
        engine = self._engine(network)
        crops = in_order(lambda file: _crop(engine, file), files)
        while part := list(islice(crops, TOGETHER)):
            yield engine.run(torch.stack(part))

    def _engine(self, network: Network) -> ClassificationEngine:
        return ClassificationEngine(network, self.entry("", {}), device=str(self.device), precision="float32")


def _crop(engine: ClassificationEngine, file: Path) -> Tensor:
    return engine.prepare(read_picture(file, engine.shrink))


def _captioned(
    crop: npt.NDArray[np.uint8], caption: str, colour: tuple[int, int, int]
) -> npt.NDArray[np.uint8]:
    """The crop as large as a cell, the caption on a bar of this colour."""
    picture = Image.fromarray(crop)
    scale = CELL_PX / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(CELL_PX // 14)
    draw.rectangle((0, 0, picture.width, CELL_PX // 10), fill=colour)
    draw.text((4, 2), caption, fill=(255, 255, 255), font=font)
    return np.asarray(picture)


def _check_head(recipe: ClassRecipe, classes: Sequence[str]) -> None:
    head = recipe.network.head
    if not isinstance(head, ClassificationHeadConfig) or head.classes != len(classes):
        raise ValueError(
            f"the network's head is {head}, the data has {len(classes)} classes; set network.head.classes"
        )


def _check_classes(directory: Path, found: ImageFolder, classes: Sequence[str]) -> None:
    if found.classes != classes:
        raise BadDataset(
            f"{directory}/train has the classes {', '.join(found.classes)}; "
            f"expected those to validate on, {', '.join(classes)}"
        )
