"""The library's front door: a name → a predictor that answers for pictures as the service does."""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, overload

import torch

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import Entry, default_people_model, find
from hrformer.engine.classification import TOP, ClassificationEngine, ClassScore
from hrformer.engine.device import set_threads
from hrformer.engine.finding import (
    MAX_CROPS,
    Asked,
    Crops,
    OpenFinder,
    crop_people,
    estimate_poses,
    find_people,
)
from hrformer.engine.letterbox import MAX_CANVASES
from hrformer.engine.people import PeopleEngine
from hrformer.engine.picture import ImageLike, Pixels, as_picture, open_image
from hrformer.engine.pose import PoseEngine
from hrformer.engine.results import Detection, Person
from hrformer.engine.search import Search
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.engine.views import Views, class_maps
from hrformer.images.decode import Limits

Engine: TypeAlias = PoseEngine | SegmentationEngine | ClassificationEngine | PeopleEngine
SomeEngine = TypeVar("SomeEngine", bound=Engine)
Item = TypeVar("Item")

ENGINES: dict[str, type[Engine]] = {
    "pose": PoseEngine,
    "segmentation": SegmentationEngine,
    "classification": ClassificationEngine,
    "people": PeopleEngine,
}
AUTO = "auto"
MAX_PEOPLE = Search().max_people


def load(
    name: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    finder: str | Path | None = AUTO,
) -> "Predictor":
    """The model of this name in the manifest, or of this weight file, ready to answer.

    device: "auto", "cpu", "cuda", "cuda:0"… precision: "float32", "bfloat16", "float16" or "auto".
    threads: of the CPU, for the whole process; None leaves torch's choice.
    finder: of a pose model, the people model that finds those for whom no box is given, on the same device,
        loaded when it is first needed. "auto" is the manifest's default, if it names one; without, or with
        None, the whole picture is taken as one person.
    raises: CheckpointError kin (ValueErrors) if there is no such model, or its file is not the manifest's.
    """
    set_threads(threads)
    entry = find(name)
    return predictor_of(entry, choose_finder(entry, finder), device=device, precision=precision)


def choose_finder(entry: Entry, finder: str | Path | None = AUTO) -> Entry | None:
    """The people model that goes with a model, as `load` describes; None where none does.

    raises: ValueError if one is named that is for another task, or for a model that needs none.
    """
    if entry.task != "pose" and finder not in (AUTO, None):
        raise ValueError(f"model {entry.name!r} is for {entry.task}; only one for pose takes a finder")
    if entry.task != "pose" or finder is None:
        return None
    chosen = default_people_model() if finder == AUTO else find(finder)
    if chosen is not None and chosen.task != "people":
        raise ValueError(f"finder {chosen.name!r} is for {chosen.task}; expected a model for people")
    return chosen


def predictor_of(
    entry: Entry, finder: Entry | None = None, *, device: str = "auto", precision: str = "auto"
) -> "Predictor":
    """The predictor of an entry. raises: as `load`."""
    engine = load_engine(entry, device=device, precision=precision)

    @cache
    def open_finder() -> PeopleEngine:
        assert finder is not None
        found = load_engine(finder, device=device, precision=precision)
        assert isinstance(found, PeopleEngine)
        return found

    return Predictor(engine, open_finder=None if finder is None else open_finder)


def load_engine(entry: Entry, *, device: str = "auto", precision: str = "auto") -> Engine:
    """The inference form of an entry's network, with its weights.

    raises: ValueError as `load`, or if the model's task has no such form.
    """
    if entry.task not in ENGINES:
        raise ValueError(f"model {entry.name!r} is for {entry.task}; expected one for {' or '.join(ENGINES)}")
    return ENGINES[entry.task](load_network(entry), entry, device=device, precision=precision)


class Predictor:
    """A model that answers for pictures: paths, bytes, PIL images or uint8 arrays `(height, width, 3)`."""

    def __init__(
        self, engine: Engine, limits: Limits = Limits(), *, open_finder: OpenFinder | None = None
    ) -> None:
        """open_finder: gives what finds people for a pose model; called when it is needed."""
        self.engine = engine
        self.limits = limits
        self._open_finder = open_finder

    @overload
    def pose(
        self,
        image: list[ImageLike],
        boxes: Sequence[Asked] | Literal["whole"] | None = None,
        *,
        flip_test: bool = False,
        box_threshold: float | None = None,
        max_people: int = MAX_PEOPLE,
    ) -> list[list[Person]]: ...
    @overload
    def pose(
        self,
        image: ImageLike,
        boxes: Asked = None,
        *,
        flip_test: bool = False,
        box_threshold: float | None = None,
        max_people: int = MAX_PEOPLE,
    ) -> list[Person]: ...
    def pose(
        self,
        image: ImageLike | list[ImageLike],
        boxes: Asked | Sequence[Asked] = None,
        *,
        flip_test: bool = False,
        box_threshold: float | None = None,
        max_people: int = MAX_PEOPLE,
    ) -> list[Person] | list[list[Person]]:
        """People and their keypoints: in the order of the boxes given, or those who are found, best first.

        boxes: `[x, y, width, height]` in pixels of the upright image; "whole" takes the whole picture as one
            person. None finds people first, or is as "whole" where the predictor has no finder (see `load`).
        flip_test: average with the mirrored crop. box_threshold, max_people: as of `people`; boxes that are
            given are kept.
        A list of images takes a list of such boxes, and gives a list, run together.
        raises: ValueError for another kind of model, a box without a pixel of the image, an option out of
            range, an unreadable image.
        """
        search = Search(box_threshold, max_people)
        if not isinstance(image, list):
            return self._poses([image], [boxes], flip_test, search)[0]  # type: ignore[list-item]
        asked = [boxes] * len(image) if boxes is None or isinstance(boxes, str) else boxes
        if len(asked) != len(image):
            raise ValueError(f"{len(image)} images but {len(asked)} lists of boxes; expected as many")
        return self._poses(image, asked, flip_test, search)  # type: ignore[arg-type]

    @overload
    def people(
        self, image: list[ImageLike], *, box_threshold: float | None = None, max_people: int = MAX_PEOPLE
    ) -> list[list[Detection]]: ...
    @overload
    def people(
        self, image: ImageLike, *, box_threshold: float | None = None, max_people: int = MAX_PEOPLE
    ) -> list[Detection]: ...
    def people(
        self,
        image: ImageLike | list[ImageLike],
        *,
        box_threshold: float | None = None,
        max_people: int = MAX_PEOPLE,
    ) -> list[Detection] | list[list[Detection]]:
        """The boxes of the people in the picture, best first; a list gives a list, run together.

        box_threshold: smallest score, 0 to 1; None is the model's own. max_people: at most so many, 1 to 100.
        raises: ValueError for another kind of model, an option out of range, an unreadable image.
        """
        search, engine = Search(box_threshold, max_people), self._engine_for(PeopleEngine, "people")
        images = image if isinstance(image, list) else [image]
        found = [
            answer
            for group in _groups(images)
            for answer in find_people(engine, [open_image(one, self.limits) for one in group], search)
        ]
        return found if isinstance(image, list) else found[0]

    @overload
    def segment(
        self, image: list[ImageLike], *, flip_test: bool = False, scales: Sequence[float] = (1.0,)
    ) -> list[Pixels]: ...
    @overload
    def segment(
        self, image: ImageLike, *, flip_test: bool = False, scales: Sequence[float] = (1.0,)
    ) -> Pixels: ...
    def segment(
        self,
        image: ImageLike | list[ImageLike],
        *,
        flip_test: bool = False,
        scales: Sequence[float] = (1.0,),
    ) -> Pixels | list[Pixels]:
        """Class indices `(height, width)` uint8 at the size of the upright image; a list gives a list.

        flip_test, scales: average with the mirrored picture, and over the input size times each scale.
        raises: ValueError for another kind of model, a scale out of range or an unreadable image.
        """
        views, engine = Views(flip_test, tuple(scales)), self._engine_for(SegmentationEngine, "segmentation")
        images = image if isinstance(image, list) else [image]
        shrink = partial(engine.shrink, scale=max(views.scales))
        pictures = [as_picture(one, shrink, self.limits) for one in images]
        masks = [class_map.numpy() for class_map in class_maps(engine, pictures, views)]
        return masks if isinstance(image, list) else masks[0]

    @overload
    def classify(self, image: list[ImageLike], top: int = TOP) -> list[list[ClassScore]]: ...
    @overload
    def classify(self, image: ImageLike, top: int = TOP) -> list[ClassScore]: ...
    def classify(
        self, image: ImageLike | list[ImageLike], top: int = TOP
    ) -> list[ClassScore] | list[list[ClassScore]]:
        """The likeliest classes, at most `top`, best first; a list gives a list, run together.

        raises: ValueError for another kind of model or an unreadable image.
        """
        engine = self._engine_for(ClassificationEngine, "classification")
        images = image if isinstance(image, list) else [image]
        crops = [engine.prepare(as_picture(one, engine.shrink, self.limits)) for one in images]
        chunks = torch.split(torch.stack(crops), MAX_CROPS) if crops else ()
        found = [engine.finish(row, top) for chunk in chunks for row in engine.run(chunk)]
        return found if isinstance(image, list) else found[0]

    def _poses(
        self, images: list[ImageLike], asked: Sequence[Asked], flip_test: bool, search: Search
    ) -> list[list[Person]]:
        engine = self._engine_for(PoseEngine, "pose")
        crops: list[Crops] = []
        for group in _groups(list(zip(images, asked, strict=True))):
            sources = [open_image(image, self.limits) for image, _ in group]
            crops += crop_people(engine, sources, [boxes for _, boxes in group], search, self._open_finder)
        return estimate_poses(engine, crops, flip_test=flip_test)

    def _engine_for(self, kind: type[SomeEngine], task: str) -> SomeEngine:
        if not isinstance(self.engine, kind):
            entry = self.engine.entry
            raise ValueError(f"model {entry.name!r} is for {entry.task}; expected one for {task}")
        return self.engine


def _groups(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """So few that their decoded pictures may be in memory together."""
    return (items[start : start + MAX_CANVASES] for start in range(0, len(items), MAX_CANVASES))
