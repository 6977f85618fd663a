"""Training a network to name the class of every pixel."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.checkpoints.configuration import variant_of
from hrformer.checkpoints.manifest import Entry
from hrformer.data.coarse import bring_together
from hrformer.data.mask_folder import read_mask_folder
from hrformer.data.pictures import read_picture
from hrformer.data.unreadable import LeftOut
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.evaluation.segmentation import measure, segment_sample
from hrformer.geometry.crop import warp
from hrformer.geometry.palettes import labels_of
from hrformer.images.draw import draw_mask
from hrformer.modeling.config import SegmentationHeadConfig
from hrformer.modeling.network import Network
from hrformer.training.augmentation.colour import blur, vary_colour
from hrformer.training.augmentation.geometric import Draw, mask_matrices, mirror_matrices, one_of
from hrformer.training.augmentation.resampling import cut
from hrformer.training.cache import cache_masks
from hrformer.training.contact_sheet import contact_sheet
from hrformer.training.distributed import ranks
from hrformer.training.losses import segmentation_loss
from hrformer.training.reading import check_masks
from hrformer.training.recipe import MaskRecipe

SHOWN = 12  # pictures on the sheet of samples
UNLABELLED = -1


class SegmentationTask:
    """Pictures and masks in memory; crops are cut and coloured on the device, a batch at a time."""

    def __init__(
        self,
        directories: Sequence[Path],
        recipe: MaskRecipe,
        device: torch.device,
        left_out: LeftOut | None = None,
    ) -> None:
        """The first folder says the classes; the others may be coarser (`hrformer.data.coarse`), and need no
        pictures to validate on.
        """
        self.recipe, self.device = recipe, device
        main, *others = directories
        self.validation = read_mask_folder(main, "val")
        self.coarse_validation = [
            (folder, read_mask_folder(folder, "val"))
            for folder in dict.fromkeys(others)
            if folder != main and (folder / "val.txt").is_file()
        ]
        known, named = labels_of(self.validation.classes), self.validation
        self.labels = known or main.resolve().name
        self.classes, self.colours = ((), ()) if known else (named.classes, named.colours)
        _check_head(recipe, len(self.validation.classes))
        for folder in (self.validation, *(folder for _, folder in self.coarse_validation)):
            check_masks(folder)
        sources, self.groups = bring_together(
            read_mask_folder(main, "train", left_out),
            [(folder, read_mask_folder(folder, "train", left_out)) for folder in others],
        )
        self.cache = cache_masks(sources, recipe.canvas_px, left_out)
        labels = len(self.validation.classes) + len(self.groups)
        self.weights = label_weights(self.cache.labels, labels, recipe.class_balance).to(device)
        self.size = len(self.cache.labels)
        self.measured_on = f"{main.resolve().name}/val, {len(self.validation.samples)} pictures"

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crops uint8, and labels `(n, height, width)` int64, -1 where there is none."""
        size, varied = one_of(self.recipe.crops, generator), self.recipe.augmentation
        draw = Draw(generator, len(indices), self.device)
        canvases, labels, sizes = (
            values[indices].to(self.device, non_blocking=True)
            for values in (self.cache.canvases, self.cache.labels, self.cache.sizes)
        )
        matrices = mask_matrices(sizes, size, varied, draw)
        matrices = mirror_matrices(matrices, draw.chance(varied.flip), size[1])
        crops = blur(cut(canvases, matrices, size), varied.blur, draw)
        crops = vary_colour(crops, varied.colour, draw).round().to(torch.uint8)
        labels = warp(labels.float().unsqueeze(1), matrices, size, nearest=True)[:, 0].long() - 1
        return crops, labels

    def loss(self, outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        """OHEM on the final logits, plain cross entropy on the auxiliary ones."""
        auxiliary, final = outputs
        return segmentation_loss(
            auxiliary.float(),
            final.float(),
            targets,
            threshold=self.recipe.threshold,
            min_kept=int(self.recipe.min_kept * targets.numel() * ranks().count),
            auxiliary_weight=self.recipe.auxiliary_weight,
            class_weights=self.weights,
            groups=self.groups,
            ignore=UNLABELLED,
        )

    def evaluate(self, network: Network) -> dict[str, float]:
        """Mean IoU, pixel accuracy and the IoU of each class, at the full size of the pictures.

        What has no value is left out: the IoU of a class that nothing shows, the foreground's if all is such.
        """
        figures = measure(self._engine(network), self.validation)
        values = {
            "mean_iou": figures.mean_iou,
            "pixel_accuracy": figures.pixel_accuracy,
            "mean_class_accuracy": figures.mean_class_accuracy,
            "foreground_iou": figures.foreground_iou,
            **{f"iou_{name}": value for name, value in figures.iou.items()},
            **self._coarse_figures(network),
        }
        return {name: value for name, value in values.items() if not math.isnan(value)}

    def _coarse_figures(self, network: Network) -> dict[str, float]:
        """The foreground's IoU on the sets that tell it from the background alone."""
        engine = self._engine(network)
        return {
            f"foreground_iou_on_{directory.resolve().name}": measure(engine, folder).foreground_iou
            for directory, folder in self.coarse_validation
        }

    def samples(self, network: Network) -> npt.NDArray[np.uint8]:
        """Masks over pictures spread over the validation split."""
        engine = self._engine(network)
        step = max(1, len(self.validation.samples) // SHOWN)
        shown = self.validation.samples[::step][:SHOWN]
        pictures = [read_picture(sample.image).pixels for sample in shown]
        maps = [segment_sample(engine, sample).numpy() for sample in shown]
        palette = self.entry("", {}).palette
        return contact_sheet([draw_mask(p, m, palette) for p, m in zip(pictures, maps, strict=True)])

    def entry(self, name: str, metrics: Mapping[str, float | str]) -> Entry:
        return Entry(
            name=name,
            task="segmentation",
            variant=variant_of(self.recipe.network.backbone),
            file=Path(),
            sha256="",
            input_sizes=self.recipe.input_sizes,
            precision="float16",
            config=self.recipe.network,
            labels=self.labels,
            metrics=metrics,
            classes=self.classes,
            colours=self.colours,
            decode={"figure_from": self.recipe.figure_from} if self.groups else {},
        )

    def _engine(self, network: Network) -> SegmentationEngine:
        return SegmentationEngine(network, self.entry("", {}), device=str(self.device), precision="float32")


def label_weights(labels: Tensor, count: int, balance: float) -> Tensor:
    """What each label weighs, `(count,)` float32: its share of the labelled pixels to the power of -balance.

    labels: uint8, label + 1 and 0 for none. A pixel weighs 1 on average; a label that no pixel has, 0.
    """
    pixels = torch.stack([torch.bincount(row.flatten(), minlength=count + 1) for row in labels]).sum(dim=0)
    share = pixels[1:].double() / pixels[1:].sum()
    weights = torch.where(share > 0, share.clamp(min=1e-12) ** -balance, 0.0)
    return (weights / (weights * share).sum()).float()


def _check_head(recipe: MaskRecipe, classes: int) -> None:
    head = recipe.network.head
    if not isinstance(head, SegmentationHeadConfig) or head.classes != classes:
        raise ValueError(
            f"the network's head is {head}, the data has {classes} classes; set network.head.classes"
        )
