"""A model in this process, asked for what a service with it would answer, to the last digit."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from hrformer.data.people import Photograph
from hrformer.data.pictures import read_picture
from hrformer.engine.classification import ClassificationEngine, ClassScore
from hrformer.engine.people import PeopleEngine
from hrformer.engine.pose import PoseEngine
from hrformer.engine.predictor import Engine
from hrformer.engine.results import Detection, Person, rounded_keypoints, rounded_score
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.engine.views import Views, class_maps
from hrformer.evaluation.people import find_people
from hrformer.evaluation.pose import BoxedPerson, predict_persons

Item = TypeVar("Item")


class InProcess:
    """An engine. Of other sizes, batches have other last bits: one at a time, all answers are a service's."""

    def __init__(self, engine: Engine, *, at_once: int = 1) -> None:
        """at_once: people or pictures run together."""
        self._engine, self._at_once = engine, at_once
        self.name, self.version, self.task = engine.entry.name, engine.entry.version, engine.entry.task
        has_classes = isinstance(engine, SegmentationEngine | ClassificationEngine)
        self.classes = tuple(name for name, _ in engine.entry.palette) if has_classes else ()

    def poses(self, persons: Sequence[BoxedPerson], *, flip_test: bool) -> Iterator[Person]:
        """The answer for each person, given the box, in their order; rounded as answers are.

        raises: BadDataset, naming the file, as the other methods, if a picture is missing or broken.
        """
        assert isinstance(self._engine, PoseEngine)
        people = predict_persons(self._engine, persons, flip_test=flip_test, batch_size=self._at_once)
        for person in people:
            keypoints = np.array(rounded_keypoints(person), dtype=np.float32)
            yield Person(person.box, rounded_score(person.score), keypoints)

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

    def people(self, photographs: Sequence[Photograph]) -> Iterator[list[Detection]]:
        """Everybody found in each photograph, in their order."""
        assert isinstance(self._engine, PeopleEngine)
        return find_people(self._engine, photographs)


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    yield from (items[start : start + size] for start in range(0, len(items), size))
