"""How good class maps are: IoU of each class, their mean, pixel accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrformer.data.mask_folder import MaskFolder, MaskSample, read_mask
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.images.decode import decode


@dataclass(frozen=True)
class SegmentationFigures:
    """Figures from one confusion matrix over a whole set; shares from 0 to 1."""

    mean_iou: float
    iou: dict[str, float]  # by class; NaN for one that neither labels nor answers have
    pixel_accuracy: float
    mean_class_accuracy: float
    foreground_iou: float  # every class but the background as one; NaN where there is no background
    pictures: int


def confusion(labels: Tensor, answers: Tensor, classes: int, ignore: int) -> Tensor:
    """Pixels by class of the label (rows) and of the answer (columns), `(classes, classes)` int64.

    labels, answers: class indices of the same shape; pixels with label `ignore` are left out.
    """
    counted = labels != ignore
    pairs = labels[counted].long() * classes + answers[counted].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def segment_sample(engine: SegmentationEngine, sample: MaskSample) -> Tensor:
    """The engine's class map `(height, width)` uint8 for a labelled picture."""
    canvas = engine.prepare(decode(sample.image.read_bytes()))
    return engine.finish(engine.run(canvas.pixels[None])[0], canvas)


def evaluate_masks(engine: SegmentationEngine, folder: MaskFolder) -> SegmentationFigures:
    """Figures of an engine over a split, at the full size of each picture."""
    classes = len(folder.classes)
    total = torch.zeros(classes, classes, dtype=torch.int64)
    for sample in folder.samples:
        labels = torch.from_numpy(read_mask(sample.mask, classes, folder.ignore))
        total += confusion(labels, segment_sample(engine, sample), classes, folder.ignore)
    return figures(total, folder.classes, folder.background, len(folder.samples))


def figures(
    matrix: Tensor, classes: Sequence[str], background: int | None, pictures: int
) -> SegmentationFigures:
    """All figures of a confusion matrix `(classes, classes)`."""
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
        mean_iou=float(iou.nanmean()),
        iou=dict(zip(classes, iou.tolist(), strict=True)),
        pixel_accuracy=float(right.sum() / counts.sum()),
        mean_class_accuracy=float((right / labelled).nanmean()),
        foreground_iou=foreground,
        pictures=pictures,
    )
