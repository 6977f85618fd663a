"""Goes over a set of labelled pictures and measures a model, in this process or over HTTP alike."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from hrformer.data.coco import read_persons
from hrformer.data.detections import first_pictures, read_detections, read_labelled_pictures
from hrformer.data.image_folder import ImageFolder, read_image_folder
from hrformer.data.mask_folder import read_mask_folder
from hrformer.data.people import read_photographs
from hrformer.engine.views import Views
from hrformer.evaluation.classification import figures_of_classes, names_for
from hrformer.evaluation.detections import figures_of_detections
from hrformer.evaluation.figures import Figure
from hrformer.evaluation.in_process import InProcess
from hrformer.evaluation.over_http import Service
from hrformer.evaluation.people import figures_of_people
from hrformer.evaluation.pose import figures_of_persons
from hrformer.evaluation.segmentation import class_table, confusions, figures_of_masks

T = TypeVar("T")


class Shown(Protocol):
    """Gives on what it is given, with their number, and may show how far it is."""

    def __call__(self, items: Iterable[T], total: int) -> Iterator[T]: ...


Model: TypeAlias = InProcess | Service
PLAIN = Views()


@dataclass(frozen=True)
class Question:
    """What is measured, and how."""

    data: Path
    split: str = "val"
    limit: int | None = None  # people or pictures; all if None
    detections: Path | None = None  # boxes found by a detector; those of the labels if None
    views: Views = PLAIN


@dataclass(frozen=True)
class Measurement:
    """What came out."""

    counted: str  # "persons" or "pictures"
    count: int
    figures: list[Figure]


def measure_model(model: Model, question: Question, shown: Shown) -> Measurement:
    """All figures of a model.

    raises: BadDataset, naming the file; NoAnswer of a service; ValueError if set and model do not fit.
    """
    if model.task == "pose":
        way = _given_boxes if question.detections is None else _found_boxes
        return way(model, question, shown)
    if model.task == "segmentation":
        return _masks(model, question, shown)
    if isinstance(model, Service):
        raise ValueError(f"a service answers for pose and segmentation; {model.name!r} is for {model.task}")
    return (_people if model.task == "people" else _classes)(model, question, shown)


def _given_boxes(model: Model, question: Question, shown: Shown) -> Measurement:
    persons = read_persons(question.data, question.split)[: question.limit]
    answers = model.poses(persons, flip_test=question.views.flip_test)
    figures = figures_of_persons(list(shown(answers, len(persons))), persons)
    return Measurement("persons", len(persons), figures)


def _found_boxes(model: Model, question: Question, shown: Shown) -> Measurement:
    assert question.detections is not None
    pictures = read_labelled_pictures(question.data, question.split)
    chosen = first_pictures(pictures, question.limit)
    found = read_detections(question.detections, pictures.images, chosen=chosen.images)
    answers = model.poses(found, flip_test=question.views.flip_test)
    figures = figures_of_detections(list(shown(answers, len(found))), found, chosen)
    return Measurement("pictures", len(chosen.images), figures)


def _masks(model: Model, question: Question, shown: Shown) -> Measurement:
    folder = read_mask_folder(question.data, question.split)
    folder = replace(folder, samples=folder.samples[: question.limit])
    table = class_table(model.name, model.classes, folder)
    answers = model.class_maps([sample.image for sample in folder.samples], question.views)
    matrices = shown(confusions(answers, folder, table), len(folder.samples))
    figures = figures_of_masks(matrices, folder.classes, folder.background)
    return Measurement("pictures", len(folder.samples), figures)


def _classes(model: InProcess, question: Question, shown: Shown) -> Measurement:
    folder = read_image_folder(question.data, question.split)
    names = names_for(model.name, model.classes, folder)
    samples = _spread(folder, question.limit)
    answers = model.likeliest([file for file, _ in samples])
    truths = [names[index] for _, index in samples]
    figures = figures_of_classes(list(shown(answers, len(samples))), truths, len(model.classes))
    return Measurement("pictures", len(samples), figures)


def _people(model: InProcess, question: Question, shown: Shown) -> Measurement:
    photographs = read_photographs(question.data, question.split)[: question.limit]
    answers = list(shown(model.people(photographs), len(photographs)))
    return Measurement("pictures", len(photographs), figures_of_people(answers, photographs))


def _spread(folder: ImageFolder, limit: int | None) -> Sequence[tuple[Path, int]]:
    """So many samples, evenly over all, since they come class by class."""
    count = min(len(folder.samples), limit or len(folder.samples))
    return [folder.samples[index * len(folder.samples) // count] for index in range(count)]
