"""What is served: models by name, the default of each task, and how `/models` describes them."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from hrformer.checkpoints.manifest import MANIFEST, Entry, default_names, find, read_manifest
from hrformer.engine.device import choose_device, choose_precision
from hrformer.engine.letterbox import Canvas
from hrformer.engine.people import PeopleCoding
from hrformer.engine.predictor import load_engine
from hrformer.engine.results import Detection, Person
from hrformer.geometry.palettes import Palette
from hrformer.geometry.skeletons import JOINTS, LIMBS
from hrformer.images.decode import Picture
from hrformer.modeling.config import PoseHeadConfig
from service.problems import Problem
from service.settings import Settings, SettingsError

TASKS = ("pose", "segmentation", "people")  # that a route answers

Boxes: TypeAlias = Sequence[tuple[float, float, float, float]]


class PoseModel(Protocol):
    """What the service needs of a pose model; `run` is called on the model's threads, on a CPU
    perhaps on several at once, the rest on any.

    `record` makes a size faster that was run before, and may be called while `run` is.

    Boxes are as they were given: each meets the picture, and may leave it.
    """

    entry: Entry

    def shrink(self, width: int, height: int, boxes: Boxes | None = None) -> int: ...
    def prepare(self, picture: Picture, boxes: Boxes) -> tuple[Tensor, Tensor]: ...
    def run(self, crops: Tensor, flip_test: bool = False) -> Tensor: ...
    def finish(
        self, keypoints: Tensor, matrices: Tensor, boxes: Boxes, scores: Sequence[float] | None = None
    ) -> list[Person]: ...
    def record(self, height: int, width: int) -> None: ...
    def warm(self) -> None: ...


class SegmentationModel(Protocol):
    """What the service needs of a segmentation model, with the same rule."""

    entry: Entry

    def shrink(self, width: int, height: int) -> int: ...
    def prepare(self, picture: Picture) -> Canvas: ...
    def run(self, canvases: Tensor) -> Tensor: ...
    def finish(self, logits: Tensor, canvas: Canvas) -> Tensor: ...
    def record(self, height: int, width: int) -> None: ...
    def warm(self) -> None: ...


class PeopleModel(Protocol):
    """What the service needs of a model that finds people, with the same rule."""

    entry: Entry

    def shrink(self, width: int, height: int) -> int: ...
    def prepare(self, picture: Picture) -> Canvas: ...
    def run(self, canvases: Tensor) -> Tensor: ...
    def finish(
        self, found: Tensor, canvas: Canvas, *, box_threshold: float | None, max_people: int
    ) -> list[Detection]: ...
    def record(self, height: int, width: int) -> None: ...
    def warm(self) -> None: ...


Model: TypeAlias = PoseModel | SegmentationModel | PeopleModel


@dataclass(frozen=True, eq=False)
class Served:
    """A model as it is served. Loaded anew it is another one, even with the same weights."""

    model: Any  # PoseModel, SegmentationModel or PeopleModel, by the entry's task
    precision: str  # that it runs in
    device: str = "cpu"  # cpu, cuda, cuda:1…

    @cached_property
    def entry(self) -> Entry:
        entry: Entry = self.model.entry
        return entry

    @cached_property
    def name(self) -> str:
        return self.entry.name

    @cached_property
    def version(self) -> str:
        return self.entry.version

    @cached_property
    def headers(self) -> dict[str, str]:
        """Headers of an answer that the model made."""
        return {"X-Model": self.name, "X-Model-Version": self.version}

    @property
    def palette(self) -> Palette:
        """Names and colours of the classes of a segmentation model."""
        return self.entry.palette


class Models:
    """The models served: filled when they are loaded and warm, and again when they are swapped."""

    def __init__(self) -> None:
        self._by_name: dict[str, Served] = {}
        self._defaults: dict[str, str] = {}

    def fill(self, served: Iterable[Served], defaults: Mapping[str, str]) -> None:
        """defaults: names of models by task; those that are not served count for nothing."""
        self._by_name = {one.name: one for one in served}
        self._defaults = {task: name for task, name in defaults.items() if name in self._by_name}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Served:
        """raises: Problem `unknown-model` with the nearest name."""
        if name not in self._by_name:
            near = difflib.get_close_matches(name, self._by_name, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._by_name) or 'none'}"
            raise Problem("unknown-model", f"there is no model {name!r}: {hint}", field="model")
        return self._by_name[name]

    def default(self, task: str) -> Served | None:
        """The default of the task, if it has one."""
        return self._by_name[self._defaults[task]] if task in self._defaults else None

    def choose(self, name: str | None, task: str) -> Served:
        """The model of this name, or the default of the task. raises: Problem `unknown-model`."""
        served = self.default(task) if name is None else self[name]
        if served is None:
            raise Problem("unknown-model", self._without_default(task), field="model")
        if served.entry.task != task:
            detail = f"model {served.name!r} is for {served.entry.task}, and this route needs one for {task}"
            raise Problem("unknown-model", detail, field="model")
        return served

    def _without_default(self, task: str) -> str:
        names = [one.name for one in self if one.entry.task == task]
        if names:
            return f"no model for {task} is the default; name one by `model`: there are {', '.join(names)}"
        instead = "; give /pose the boxes, or the whole picture" if task == "people" else ""
        return f"no model for {task} is served, see /models; ask whoever runs the service for one{instead}"

    def describe(self, served: Served) -> dict[str, Any]:
        """What `/models/{name}` answers."""
        entry = served.entry
        return {
            "name": entry.name,
            "task": entry.task,
            "is_default": self._defaults.get(entry.task) == entry.name,
            "variant": entry.variant,
            "description": entry.description,
            "input_sizes": [{"width": width, "height": height} for height, width in entry.input_sizes],
            "precision": served.precision,
            "version": served.version,
            "sha256": entry.sha256,
            "metrics": dict(entry.metrics),
        } | _labels(served)


def first_of_tasks(served: Iterable[Served]) -> dict[str, str]:
    """The name of the first model of each task."""
    return {one.entry.task: one.name for one in reversed(list(served))}


def load_models(settings: Settings) -> tuple[list[Served], dict[str, str]]:
    """The models that the settings name, not yet warm, and the names of the defaults by task.

    A default is the one that the manifest names. Where the settings choose models without it, the first of
    the task takes its place; else a task may have none, as in the library.
    raises: CheckpointError kin, SettingsError.
    """
    manifest = settings.weights / MANIFEST if settings.weights else None
    entries = read_manifest(manifest)
    chosen = [find(name, manifest) for name in settings.models] or [
        entry for entry in entries.values() if entry.task in TASKS
    ]
    served = [_load(entry, settings) for entry in chosen]
    if not served:
        raise SettingsError("the manifest has no model that can be served")
    names = {one.name for one in served}
    named = {task: name for task, name in default_names(manifest).items() if name in names}
    return served, (first_of_tasks(served) if settings.models else {}) | named


def _load(entry: Entry, settings: Settings) -> Served:
    head = entry.config.head
    if entry.task not in TASKS:
        raise SettingsError(
            f"models: {entry.name} is for {entry.task}; the service answers {', '.join(TASKS)}"
        )
    if isinstance(head, PoseHeadConfig) and head.joints != len(JOINTS):
        raise SettingsError(
            f"models: {entry.name} has {head.joints} joints; the service answers COCO's {len(JOINTS)}"
        )
    device = choose_device(settings.device)
    model = load_engine(entry, device=settings.device, precision=settings.precision)
    dtype = choose_precision(settings.precision, device)
    return Served(model, str(dtype).removeprefix("torch."), str(device))


def _labels(served: Served) -> dict[str, Any]:
    if served.entry.task == "pose":
        return {"joints": list(JOINTS), "skeleton": [list(limb) for limb in LIMBS]}
    if served.entry.task == "people":
        return {"box_threshold": PeopleCoding.from_values(served.entry.decode).threshold}
    classes = [
        {"index": index, "name": name, "colour": list(colour)}
        for index, (name, colour) in enumerate(served.palette)
    ]
    return {"classes": classes}
