"""How good class maps are: IoU of each class, their mean, pixel accuracy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrformer.data.coarse import coarsen
from hrformer.data.mask_folder import MaskFolder, MaskSample, read_mask
from hrformer.data.pictures import read_picture
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.geometry.palettes import PALETTES, palette_of


@dataclass(frozen=True)
class SegmentationFigures:
    """Figures from one confusion matrix over a whole set; shares from 0 to 1."""

    pictures: int
    mean_iou: float
    iou: dict[str, float]  # by class; NaN for one that neither labels nor answers have
    pixel_accuracy: float
    mean_class_accuracy: float
    foreground_iou: float  # every class but the background as one; NaN where there is no background


def confusion(labels: Tensor, answers: Tensor, classes: int, ignore: int) -> Tensor:
    """Pixels by class of the label (rows) and of the answer (columns), `(classes, classes)` int64.

    labels, answers: class indices of the same shape; pixels with label `ignore` are left out.
    """
    counted = labels != ignore
    pairs = labels[counted].long() * classes + answers[counted].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def segment_sample(engine: SegmentationEngine, sample: MaskSample) -> Tensor:
    """The engine's class map `(height, width)` uint8 for a labelled picture."""
    canvas = engine.prepare(read_picture(sample.image, engine.shrink))
    return engine.finish(engine.run(canvas.pixels[None])[0], canvas)


def confusions(engine: SegmentationEngine, folder: MaskFolder) -> Iterator[Tensor]:
    """The confusion matrix of each picture of a split at its full size, as it is found.

    A set that tells a person from the background alone measures the classes of people as one.
    raises: BadDataset, naming the file, if a picture or mask is missing or broken, or their sizes differ;
        ValueError if the model tells other classes than the masks show.
    """
    classes = len(folder.classes)
    table = torch.tensor(_table(engine, folder), dtype=torch.uint8)
    for sample in folder.samples:
        answers = table[segment_sample(engine, sample).int()]
        size = (answers.shape[0], answers.shape[1])
        labels = torch.from_numpy(read_mask(sample.mask, classes, folder.ignore, size=size))
        yield confusion(labels, answers, classes, folder.ignore)


def measure(engine: SegmentationEngine, folder: MaskFolder) -> SegmentationFigures:
    """All figures of an engine on a split."""
    total = torch.stack(list(confusions(engine, folder))).sum(dim=0)
    return segmentation_figures(total, folder.classes, folder.background, len(folder.samples))


def _table(engine: SegmentationEngine, folder: MaskFolder) -> tuple[int, ...]:
    """The set's class for each class of the model."""
    known = [name for name, _ in palette_of(engine.entry.labels, engine.classes)]
    if engine.entry.labels not in PALETTES and engine.classes == len(folder.classes):
        return tuple(range(engine.classes))
    if (table := coarsen(known, folder)) is None:
        raise ValueError(
            f"model {engine.entry.name!r} tells {engine.classes} classes {' '.join(known)}; "
            f"the masks show {len(folder.classes)}: {' '.join(folder.classes)}"
        )
    return table


def segmentation_figures(
    matrix: Tensor, classes: Sequence[str], background: int | None, pictures: int
) -> SegmentationFigures:
    """All figures of a confusion matrix `(classes, classes)` over so many pictures."""
    counts = matrix.double()
    right, labelled, answered = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = right / (labelled + answered - right)
    foreground = float("nan")
    if background is not None:
        correct_background = counts[background, background]
        union = counts.sum() - correct_background
        wrong = labelled[background] + answered[background] - 2 * correct_background
        foreground = float((union - wrong) / union)
    return SegmentationFigures(
        pictures=pictures,
        mean_iou=float(iou.nanmean()),
        iou=dict(zip(classes, iou.tolist(), strict=True)),
        pixel_accuracy=float(right.sum() / counts.sum()),
        mean_class_accuracy=float((right / labelled).nanmean()),
        foreground_iou=foreground,
    )
