"""How good class maps are: IoU of each class, their mean, pixel accuracy."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.data.coarse import coarsen
from hrformer.data.mask_folder import MaskFolder, MaskSample, read_mask
from hrformer.data.pictures import read_picture
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.engine.views import class_maps
from hrformer.evaluation.figures import Figure, Values, Weights, ratio, with_intervals
from hrformer.geometry.palettes import numbered_palette

ClassMap = npt.NDArray[np.uint8]


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
    (answer,) = class_maps(engine, [read_picture(sample.image, engine.shrink)])
    return answer


def confusions(answers: Iterable[ClassMap], folder: MaskFolder, table: Sequence[int]) -> Iterator[Tensor]:
    """The confusion matrix of each picture of a split at its full size, as its class map comes.

    table: of `class_table`.
    raises: BadDataset, naming the file, if a mask is missing or broken, or not of its picture's size.
    """
    classes, lookup = len(folder.classes), np.array(table, dtype=np.uint8)
    for answer, sample in zip(answers, folder.samples, strict=True):
        size = (answer.shape[0], answer.shape[1])
        labels = read_mask(sample.mask, classes, folder.ignore, size=size)
        yield confusion(torch.from_numpy(labels), torch.from_numpy(lookup[answer]), classes, folder.ignore)


def measure(engine: SegmentationEngine, folder: MaskFolder) -> SegmentationFigures:
    """All figures of an engine on a split.

    A set that tells a person from the background alone measures the classes of people as one.
    raises: BadDataset, naming the file, if a picture or mask is missing or broken, or their sizes differ;
        ValueError if the model tells other classes than the masks show.
    """
    known = [name for name, _ in engine.entry.palette]
    answers = (segment_sample(engine, sample).numpy() for sample in folder.samples)
    matrices = confusions(answers, folder, class_table(engine.entry.name, known, folder))
    total = torch.stack(list(matrices)).sum(dim=0)
    return segmentation_figures(total, folder.classes, folder.background, len(folder.samples))


def class_table(model: str, known: Sequence[str], folder: MaskFolder) -> tuple[int, ...]:
    """The set's class for each class that a model knows, by name; in order if it has none but numbers.

    model: its name, for the message. raises: ValueError if they do not fit.
    """
    numbered = [name for name, _ in numbered_palette(len(known))]
    if list(known) == numbered and len(known) == len(folder.classes):
        return tuple(range(len(known)))
    if (table := coarsen(known, folder)) is None:
        raise ValueError(
            f"model {model!r} tells {len(known)} classes {' '.join(known)}; "
            f"the masks show {len(folder.classes)}: {' '.join(folder.classes)}"
        )
    return table


def segmentation_figures(
    matrix: Tensor, classes: Sequence[str], background: int | None, pictures: int
) -> SegmentationFigures:
    """All figures of a confusion matrix `(classes, classes)` over so many pictures."""
    mean, *iou, accuracy, class_accuracy, foreground = _shares(_counts(matrix), background).tolist()
    return SegmentationFigures(
        pictures=pictures,
        mean_iou=mean,
        iou=dict(zip(classes, iou, strict=True)),
        pixel_accuracy=accuracy,
        mean_class_accuracy=class_accuracy,
        foreground_iou=foreground,
    )


def figures_of_masks(
    matrices: Iterable[Tensor], classes: Sequence[str], background: int | None
) -> list[Figure]:
    """All figures of the confusion matrices of a set's pictures, with their intervals."""
    counts = np.stack([_counts(matrix) for matrix in matrices])  # (pictures, 3, classes)

    def compute(weights: Weights) -> Values:
        return _shares(np.tensordot(weights, counts, axes=1), background)

    names = [("", "mean_iou"), *(("iou", name) for name in classes)]
    names += [("", name) for name in ("pixel_accuracy", "mean_class_accuracy", "foreground_iou")]
    values = compute(np.ones(len(counts))).tolist()
    plain = [Figure(name, value, group=group) for (group, name), value in zip(names, values, strict=True)]
    return with_intervals(plain, compute, len(counts))


def _counts(matrix: Tensor) -> Values:
    """Pixels answered right, labelled and answered, by class: `(3, classes)`, all that figures need."""
    return torch.stack([matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)]).double().numpy()


def _shares(counts: Values, background: int | None) -> Values:
    """Mean IoU, IoU by class, pixel accuracy, mean class accuracy and the foreground's IoU, `(classes + 4,)`.

    counts: `(3, classes)`. NaN where a class, or what is not background, has no pixels.
    """
    right, labelled, answered = counts
    iou, accuracy = ratio(right, labelled + answered - right), ratio(right, labelled)
    foreground = np.nan
    if background is not None:
        union = labelled.sum() - right[background]
        wrong = labelled[background] + answered[background] - 2 * right[background]
        foreground = ratio(union - wrong, union)
    pixel_accuracy = ratio(right.sum(), labelled.sum())
    return np.array([_mean(iou), *iou, pixel_accuracy, _mean(accuracy), foreground])


def _mean(shares: Values) -> float:
    """Of those that there are."""
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if len(known) else float("nan")
