"""Sets of masks that know different classes, brought together under the classes of the first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrformer.data.errors import BadDataset
from hrformer.data.mask_folder import MaskFolder

WHOLE = "person"  # a class of this name stands for every class but the background


@dataclass(frozen=True)
class MaskSource:
    """A set, and what its classes mean to the model."""

    folder: MaskFolder
    labels: tuple[int, ...]  # of each of its classes: a class of the model, or `classes` + a group's index


def bring_together(
    first: MaskFolder, others: Sequence[tuple[Path, MaskFolder]]
) -> tuple[list[MaskSource], tuple[tuple[int, ...], ...]]:
    """The sets with labels of the first one's classes, and the groups of classes that coarse labels mean.

    A class of another set is the first set's class of the same name. `person`, where the first set has no
    such class, is coarse: it means any class but the background.
    raises: BadDataset, naming the folder, if a class is neither.
    """
    classes = first.classes
    people = tuple(index for index in range(len(classes)) if index != first.background)
    sources = [MaskSource(first, tuple(range(len(classes))))]
    groups: tuple[tuple[int, ...], ...] = ()
    for directory, folder in others:
        coarse = {name for name in folder.classes if name not in classes}
        if coarse - {WHOLE} or (coarse and first.background is None):
            raise BadDataset(
                f"{directory} has the classes {', '.join(folder.classes)}; expected some of "
                f"{', '.join(classes)}, or {WHOLE!r} for all but a background"
            )
        groups = (people,) if coarse else groups
        labels = [classes.index(name) if name in classes else len(classes) for name in folder.classes]
        sources.append(MaskSource(folder, tuple(labels)))
    return sources, groups


def coarsen(classes: Sequence[str], folder: MaskFolder) -> tuple[int, ...] | None:
    """For each class of a model, the set's class that a pixel of it should have; None if there is no such.

    That is the class of the same name, or `person` for every class but the background.
    """
    if tuple(classes) == folder.classes:
        return tuple(range(len(classes)))
    if WHOLE not in folder.classes or folder.background is None:
        return None
    if folder.classes[folder.background] not in classes or len(folder.classes) != 2:
        return None
    person = folder.classes.index(WHOLE)
    return tuple(
        folder.background if name == folder.classes[folder.background] else person for name in classes
    )
