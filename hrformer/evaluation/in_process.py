"""A model in this process, asked for what a service with it would answer, to the last digit."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from hrformer.checkpoints.manifest import Entry
from hrformer.data.people import Photograph
from hrformer.data.pictures import LIMITS, naming, read_picture
from hrformer.engine.classification import ClassificationEngine, ClassScore
from hrformer.engine.finding import Crops, crop_people, estimate_poses
from hrformer.engine.people import PeopleEngine
from hrformer.engine.picture import open_image
from hrformer.engine.pose import PoseEngine
from hrformer.engine.predictor import Engine
from hrformer.engine.results import Detection, Person, rounded_keypoints, rounded_score
from hrformer.engine.search import Search
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.engine.views import Views, class_maps
from hrformer.evaluation.people import find_people
from hrformer.evaluation.pose import BoxedPerson, predict_persons

TOGETHER = 16  # crops of a picture that are run together: as many as a service does, unless told otherwise

Item = TypeVar("Item")


class InProcess:
    """An engine. Of other sizes, batches have other last bits: one at a time, all answers are a service's."""

    def __init__(self, engine: Engine, *, at_once: int = 1, finder: PeopleEngine | None = None) -> None:
        """at_once: people or pictures run together. finder: of a pose model, finds `everyone`."""
        self._engine, self._at_once, self._finder = engine, at_once, finder
        self.finder = None if finder is None else _named(finder.entry)
        self.name, self.version, self.task = engine.entry.name, engine.entry.version, engine.entry.task
        has_classes = isinstance(engine, SegmentationEngine | ClassificationEngine)
        self.classes = tuple(name for name, _ in engine.entry.palette) if has_classes else ()

    def poses(self, persons: Sequence[BoxedPerson], *, flip_test: bool) -> Iterator[Person]:
        """The answer for each person, given the box, in their order; rounded as answers are.

        raises: BadDataset, naming the file, as the other methods, if a picture is missing or broken.
        """
        assert isinstance(self._engine, PoseEngine)
        people = predict_persons(self._engine, persons, flip_test=flip_test, batch_size=self._at_once)
        yield from map(_as_answered, people)

    def everyone(
        self, pictures: Sequence[Path], search: Search, *, flip_test: bool
    ) -> Iterator[list[Person]]:
        """Everybody found in each picture, with their keypoints, best first; rounded as answers are."""
        engine, finder = self._engine, self._finder
        assert isinstance(engine, PoseEngine)
        assert finder is not None
        for part in _parts(pictures, self._at_once):
            crops = [_crops(engine, finder, file, search) for file in part]
            for people in estimate_poses(engine, crops, flip_test=flip_test, at_once=TOGETHER):
                yield [_as_answered(person) for person in people]

    def class_maps(self, pictures: Sequence[Path], views: Views) -> Iterator[npt.NDArray[np.uint8]]:
        """Class indices `(height, width)` uint8 of each picture, in their order."""
        engine = self._engine
        assert isinstance(engine, SegmentationEngine)
        shrink = partial(engine.shrink, scale=max(views.scales))
        for part in _parts(pictures, self._at_once):
            decoded = [read_picture(file, shrink) for file in part]
            yield from (answer.numpy() for answer in class_maps(engine, decoded, views))

    def likeliest(self, pictures: Sequence[Path]) -> Iterator[list[ClassScore]]:
        """The likeliest classes of each picture, best first, in their order."""
        engine = self._engine
        assert isinstance(engine, ClassificationEngine)
        for part in _parts(pictures, self._at_once):
            crops = torch.stack([engine.prepare(read_picture(file, engine.shrink)) for file in part])
            yield from map(engine.finish, engine.run(crops))

    def people(self, photographs: Sequence[Photograph], *, box_threshold: float) -> Iterator[list[Detection]]:
        """Everybody found in each photograph, in their order; rounded as answers are."""
        assert isinstance(self._engine, PeopleEngine)
        for found in find_people(self._engine, photographs, box_threshold=box_threshold):
            yield [Detection(box, rounded_score(score)) for box, score in found]


def _crops(engine: PoseEngine, finder: PeopleEngine, file: Path, search: Search) -> Crops:
    """Of everybody who is found."""
    with naming(file):
        source = open_image(file.read_bytes(), LIMITS)
        (crops,) = crop_people(engine, [source], [None], search, lambda: finder)
        return crops


def _named(entry: Entry) -> dict[str, str]:
    return {"model": entry.name, "model_version": entry.version}


def _as_answered(person: Person) -> Person:
    """With the digits that an answer has."""
    keypoints = np.array(rounded_keypoints(person), dtype=np.float32)
    return Person(person.box, rounded_score(person.score), keypoints, rounded_score(person.box_score))


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    yield from (items[start : start + size] for start in range(0, len(items), size))
