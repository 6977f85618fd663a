"""Goes over a set of labelled pictures and measures a model, in this process or over HTTP alike."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from hrformer.data.coco import read_persons
from hrformer.data.detections import first_pictures, read_detections, read_labelled_pictures
from hrformer.data.image_folder import ImageFolder, read_image_folder
from hrformer.data.mask_folder import read_mask_folder
from hrformer.data.people import read_photographs
from hrformer.engine.search import Search
from hrformer.engine.views import Views
from hrformer.evaluation.classification import figures_of_classes, names_for
from hrformer.evaluation.detections import figures_of_detections
from hrformer.evaluation.end_to_end import MOST, figures_of_everyone
from hrformer.evaluation.figures import Figure
from hrformer.evaluation.in_process import InProcess
from hrformer.evaluation.over_http import Service
from hrformer.evaluation.people import ALARM, LOWEST, SMALLEST_PX, figures_of_people
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
    finds_people: bool = False  # people are found first, by the model's finder
    box_threshold: float = LOWEST  # smallest score of somebody found who is looked at
    views: Views = PLAIN


@dataclass(frozen=True)
class Measurement:
    """What came out."""

    counted: str  # "persons" or "pictures"
    count: int
    figures: list[Figure]
    limits: Mapping[str, float] = field(default_factory=dict)  # by which it was decided what counts


def measure_model(model: Model, question: Question, shown: Shown) -> Measurement:
    """All figures of a model.

    raises: BadDataset, naming the file; NoAnswer of a service; ValueError if set and model do not fit.
    """
    if model.task == "pose":
        return _way_of_boxes(question)(model, question, shown)
    if model.task == "people":
        return _people(model, question, shown)
    if model.task == "segmentation":
        return _masks(model, question, shown)
    if isinstance(model, Service):
        raise ValueError(
            f"a service answers for pose, people and segmentation; {model.name!r} is for {model.task}"
        )
    return _classes(model, question, shown)


def _way_of_boxes(question: Question) -> Callable[[Model, Question, Shown], Measurement]:
    if question.finds_people:
        return _everyone
    return _given_boxes if question.detections is None else _found_boxes


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


def _everyone(model: Model, question: Question, shown: Shown) -> Measurement:
    pictures = first_pictures(read_labelled_pictures(question.data, question.split), question.limit)
    persons = [one for one in read_persons(question.data, question.split) if one.image_id in pictures.images]
    files, flip_test = list(pictures.images.values()), question.views.flip_test
    search = Search(question.box_threshold, MOST)
    found = list(shown(model.everyone(files, search, flip_test=flip_test), len(files)))
    given = list(shown(model.poses(persons, flip_test=flip_test), len(persons)))
    figures = figures_of_everyone(found, given, persons, pictures)
    limits = {"box_threshold": question.box_threshold, "max_people": MOST}
    return Measurement("pictures", len(files), figures, limits)


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


def _people(model: Model, question: Question, shown: Shown) -> Measurement:
    photographs = read_photographs(question.data, question.split)[: question.limit]
    found = model.people(photographs, box_threshold=question.box_threshold)
    figures = figures_of_people(list(shown(found, len(photographs))), photographs)
    limits = {
        "box_threshold": question.box_threshold,
        "smallest_px": SMALLEST_PX,
        "false_alarm_score": ALARM,
    }
    return Measurement("pictures", len(photographs), figures, limits)


def _spread(folder: ImageFolder, limit: int | None) -> Sequence[tuple[Path, int]]:
    """So many samples, evenly over all, since they come class by class."""
    count = min(len(folder.samples), limit or len(folder.samples))
    return [folder.samples[index * len(folder.samples) // count] for index in range(count)]
