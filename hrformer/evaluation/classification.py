"""How good a classifier is: whether the right class is the likeliest, or among the five likeliest."""

from collections.abc import Sequence

import numpy as np

from hrformer.data.image_folder import ImageFolder
from hrformer.engine.classification import ClassScore
from hrformer.evaluation.figures import Figure, Values, Weights, with_intervals
from hrformer.geometry.palettes import numbered_palette

TOP = (1, 5)


def names_for(model: str, known: Sequence[str], folder: ImageFolder) -> tuple[str, ...]:
    """The model's name for each class of a set: the same; if it has none but numbers, those in order.

    model: its name, for the message. raises: ValueError if it does not know a class.
    """
    numbered = [name for name, _ in numbered_palette(len(known))]
    if list(known) == numbered and len(known) == len(folder.classes):
        return tuple(known)
    if unknown := [name for name in folder.classes if name not in known]:
        raise ValueError(
            f"model {model!r} tells {len(known)} classes, {_some(known)}; "
            f"{len(unknown)} of the set's {len(folder.classes)} are others: {_some(unknown)}"
        )
    return folder.classes


def figures_of_classes(
    answers: Sequence[Sequence[ClassScore]], truths: Sequence[str], known: int
) -> list[Figure]:
    """Shares of the pictures whose class is the likeliest, and among the five likeliest, with intervals.

    answers: of each picture, best first. truths: their classes. known: classes of the model; where it has no
    more than five, the second figure says nothing and is left out.
    """
    ranks = [top for top in TOP if top == 1 or known > top]
    right = np.array(
        [
            [any(name == truth for name, _ in answer[:top]) for top in ranks]
            for answer, truth in zip(answers, truths, strict=True)
        ],
        dtype=np.float64,
    )

    def compute(weights: Weights) -> Values:
        return np.asarray(weights @ right / weights.sum())

    values = compute(np.ones(len(right))).tolist()
    plain = [Figure(f"top_{top}", value) for top, value in zip(ranks, values, strict=True)]
    return with_intervals(plain, compute, len(right))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
