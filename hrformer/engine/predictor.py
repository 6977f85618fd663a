"""The library's front door: a name → a predictor that answers for pictures as the service does."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias, overload

import torch
from torch import Tensor

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import Entry, find
from hrformer.engine.classification import TOP, ClassificationEngine, ClassScore
from hrformer.engine.device import set_threads
from hrformer.engine.picture import ImageLike, Pixels, as_picture
from hrformer.engine.pose import Boxes, PoseEngine, check_boxes, whole_box
from hrformer.engine.results import Person
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.engine.views import Views, class_maps
from hrformer.images.decode import Limits

Engine: TypeAlias = PoseEngine | SegmentationEngine | ClassificationEngine

ENGINES: dict[str, type[PoseEngine] | type[SegmentationEngine] | type[ClassificationEngine]] = {
    "pose": PoseEngine,
    "segmentation": SegmentationEngine,
    "classification": ClassificationEngine,
}
MAX_CROPS = 64  # in one run of a pose network


def load(
    name: str | Path, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> "Predictor":
    """The model of this name in the manifest, or of this weight file, ready to answer.

    device: "auto", "cpu", "cuda", "cuda:0"… precision: "float32", "bfloat16", "float16" or "auto".
    threads: of the CPU, for the whole process; None leaves torch's choice.
    raises: CheckpointError kin (ValueErrors) if there is no such model, or its file is not the manifest's.
    """
    set_threads(threads)
    return Predictor(load_engine(find(name), device=device, precision=precision))


def load_engine(entry: Entry, *, device: str = "auto", precision: str = "auto") -> Engine:
    """The inference form of an entry's network, with its weights.

    raises: ValueError as `load`, or if the model's task has no such form.
    """
    if entry.task not in ENGINES:
        raise ValueError(f"model {entry.name!r} is for {entry.task}; expected one for {' or '.join(ENGINES)}")
    return ENGINES[entry.task](load_network(entry), entry, device=device, precision=precision)


class Predictor:
    """A model that answers for pictures: paths, bytes, PIL images or uint8 arrays `(height, width, 3)`."""

    def __init__(self, engine: Engine, limits: Limits = Limits()) -> None:
        self.engine = engine
        self.limits = limits

    @overload
    def pose(
        self, image: list[ImageLike], boxes: Sequence[Boxes] | None = None, *, flip_test: bool = False
    ) -> list[list[Person]]: ...
    @overload
    def pose(
        self, image: ImageLike, boxes: Boxes | None = None, *, flip_test: bool = False
    ) -> list[Person]: ...
    def pose(
        self,
        image: ImageLike | list[ImageLike],
        boxes: Boxes | Sequence[Boxes] | None = None,
        *,
        flip_test: bool = False,
    ) -> list[Person] | list[list[Person]]:
        """People and their keypoints, in the order of the boxes.

        boxes: `[x, y, width, height]` in pixels of the upright image; None takes the whole picture as one.
        A list of images takes a list of such lists, and gives a list, run together.
        raises: ValueError for another kind of model, a box without a pixel of the image, an unreadable image.
        """
        if not isinstance(image, list):
            return self._poses([image], None if boxes is None else [boxes], flip_test)[0]  # type: ignore[list-item]
        if boxes is not None and len(boxes) != len(image):
            raise ValueError(f"{len(image)} images but {len(boxes)} lists of boxes; expected as many")
        return self._poses(image, boxes, flip_test)  # type: ignore[arg-type]

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
        views = Views(flip_test, tuple(scales))
        if not isinstance(image, list):
            return self._masks([image], views)[0]
        return self._masks(image, views)

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
        engine = self.engine
        if not isinstance(engine, ClassificationEngine):
            raise self._other_task("classification")
        images = image if isinstance(image, list) else [image]
        crops = [engine.prepare(as_picture(one, engine.shrink, self.limits)) for one in images]
        chunks = torch.split(torch.stack(crops), MAX_CROPS) if crops else ()
        found = [engine.finish(row, top) for chunk in chunks for row in engine.run(chunk)]
        return found if isinstance(image, list) else found[0]

    def _poses(
        self, images: list[ImageLike], boxes: Sequence[Boxes] | None, flip_test: bool
    ) -> list[list[Person]]:
        engine = self.engine
        if not isinstance(engine, PoseEngine):
            raise self._other_task("pose")
        given = [None] * len(images) if boxes is None else list(boxes)
        prepared = [self._crops(engine, *pair) for pair in zip(images, given, strict=True)]
        counts = [len(asked) for _, _, asked in prepared]
        if sum(counts) == 0:
            return [[] for _ in images]
        chunks = torch.split(torch.cat([crops for crops, _, _ in prepared]), MAX_CROPS)
        keypoints = torch.split(torch.cat([engine.run(chunk, flip_test) for chunk in chunks]), counts)
        return [
            engine.finish(found, matrices, asked)
            for found, (_, matrices, asked) in zip(keypoints, prepared, strict=True)
        ]

    def _crops(
        self, engine: PoseEngine, image: ImageLike, boxes: Boxes | None
    ) -> tuple[Tensor, Tensor, Boxes]:
        """Crops, matrices and boxes of one image; None for the boxes takes the whole picture."""

        def shrink(width: int, height: int) -> int:
            check_boxes(() if boxes is None else boxes, width, height)
            return engine.shrink(width, height, boxes)

        picture = as_picture(image, shrink, self.limits)
        asked = [whole_box(picture.width, picture.height)] if boxes is None else boxes
        return *engine.prepare(picture, asked), asked

    def _masks(self, images: list[ImageLike], views: Views) -> list[Pixels]:
        engine = self.engine
        if not isinstance(engine, SegmentationEngine):
            raise self._other_task("segmentation")
        shrink = partial(engine.shrink, scale=max(views.scales))
        pictures = [as_picture(image, shrink, self.limits) for image in images]
        return [class_map.numpy() for class_map in class_maps(engine, pictures, views)]

    def _other_task(self, expected: str) -> ValueError:
        entry = self.engine.entry
        return ValueError(f"model {entry.name!r} is for {entry.task}; expected one for {expected}")
