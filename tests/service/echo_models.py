"""Models whose answers are computed from the pixels they get, so that a mix-up of pictures would show."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.letterbox import Canvas
from hrformer.engine.results import Box, Detection, Person
from hrformer.geometry.skeletons import JOINTS
from hrformer.images.decode import Picture
from hrformer.modeling.config import (
    BackboneConfig,
    NetworkConfig,
    PeopleHeadConfig,
    PoseHeadConfig,
    SegmentationHeadConfig,
)

BACKBONE = BackboneConfig(channels=(8, 16, 32, 64), heads=(1, 2, 4, 8), modules=(1, 1, 1))
SIZE = (8, 6)  # (height, width) of a crop
Hook = Callable[[Tensor], None]
Boxes = Sequence[tuple[float, float, float, float]]
Head = PoseHeadConfig | SegmentationHeadConfig | PeopleHeadConfig


def entry(name: str, task: str, labels: str, head: Head) -> Entry:
    return Entry(
        name=name,
        task=task,
        variant="tiny",
        file=Path("echo.safetensors"),
        sha256="0123456789abcdef" * 4,
        input_sizes=(SIZE,),
        precision="float32",
        config=NetworkConfig(BACKBONE, head),
        labels=labels,
        metrics={"AP": 0.5},
        description="answers from the pixels",
    )


def mean_colour(pixels: Tensor) -> Tensor:
    return pixels.float().mean(dim=(-2, -1))


class Gate:
    """Holds a model: what runs waits on the model thread until the gate is opened."""

    def __init__(self) -> None:
        self._entered = threading.Semaphore(0)
        self._open = threading.Event()

    def __call__(self, batch: Tensor) -> None:
        self._entered.release()
        assert self._open.wait(30), "nobody opened the gate"

    async def entered(self) -> None:
        """Returns when another batch has come to the gate."""
        assert await asyncio.to_thread(self._entered.acquire, timeout=30), "no batch came to the gate"

    def open(self) -> None:
        self._open.set()


class EchoPose:
    """x and y of every keypoint are the means of red and green in the box, the score that of blue.

    before_run, before_warm: called on the model thread; may block or raise.
    before_record: called with the size that is to be recorded; likewise.
    before_prepare, before_finish: the same on the threads that decode and encode.
    shift: added to x, as other weights would.
    """

    def __init__(
        self,
        before_run: Hook = lambda batch: None,
        *,
        before_warm: Hook = lambda batch: None,
        before_record: Callable[[tuple[int, int]], object] = lambda size: None,
        before_prepare: Hook = lambda pixels: None,
        before_finish: Hook = lambda keypoints: None,
        name: str = "echo-pose",
        version: str = "",
        shift: float = 0.0,
    ) -> None:
        self.entry = entry(name, "pose", "coco", PoseHeadConfig())
        if version:
            self.entry = replace(self.entry, sha256=version.ljust(64, "0"))
        self.before_run, self.before_warm, self.before_record = before_run, before_warm, before_record
        self.before_prepare, self.before_finish, self.shift = before_prepare, before_finish, shift
        self.batch_sizes: list[int] = []
        self.threads: set[str] = set()

    def shrink(self, width: int, height: int, boxes: Boxes | None = None) -> int:
        return 1

    def prepare(self, picture: Picture, boxes: Boxes) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        self.before_prepare(pixels)
        crops = []
        for x, y, width, height in boxes:
            left, top = max(int(x), 0), max(int(y), 0)
            right, bottom = max(int(x + width), left + 1), max(int(y + height), top + 1)
            part = pixels[:, top:bottom, left:right]
            crops.append(mean_colour(part).round().to(torch.uint8)[:, None, None].expand(3, *SIZE))
        return torch.stack(crops), torch.eye(2, 3).expand(len(boxes), 2, 3)

    def run(self, crops: Tensor, flip_test: bool = False) -> Tensor:
        self.threads.add(threading.current_thread().name)
        self.before_run(crops)
        self.batch_sizes.append(len(crops))
        answers = mean_colour(crops)[:, None, :].repeat(1, len(JOINTS), 1)
        answers[..., 0] += self.shift
        answers[..., 2] /= 255
        if flip_test:
            answers[..., 0] += 1000
        return answers

    def finish(
        self, keypoints: Tensor, matrices: Tensor, boxes: Boxes, scores: Sequence[float] | None = None
    ) -> list[Person]:
        self.before_finish(keypoints)
        sure = [1.0] * len(boxes) if scores is None else scores
        return [
            Person(Box(*box), float(person[0, 2]) * score, person.numpy(), score)
            for box, score, person in zip(boxes, sure, keypoints, strict=True)
        ]

    def record(self, height: int, width: int) -> None:
        self.before_record((height, width))

    def warm(self) -> None:
        self.before_warm(torch.zeros(1, 3, *SIZE, dtype=torch.uint8))


class ConstantPose(EchoPose):
    """The same answer to everything, for next to nothing: what is left is the service's own time."""

    CROP, MATRIX, POINTS = (
        torch.zeros(1, 3, *SIZE, dtype=torch.uint8),
        torch.eye(2, 3)[None],
        torch.ones(17, 3),
    )

    def prepare(self, picture: Picture, boxes: Boxes) -> tuple[Tensor, Tensor]:
        return self.CROP, self.MATRIX

    def run(self, crops: Tensor, flip_test: bool = False) -> Tensor:
        return torch.zeros(len(crops), 1)

    def finish(
        self, keypoints: Tensor, matrices: Tensor, boxes: Boxes, scores: Sequence[float] | None = None
    ) -> list[Person]:
        return [Person(Box(*box), 1.0, self.POINTS.numpy()) for box in boxes]


class EchoSegmentation:
    """The class of every pixel is red divided by 26 in the picture's middle."""

    def __init__(self, before_run: Hook = lambda batch: None, *, name: str = "echo-parsing") -> None:
        self.entry = entry(name, "segmentation", "parsing", SegmentationHeadConfig(classes=10))
        self.before_run = before_run
        self.batch_sizes: list[int] = []

    def shrink(self, width: int, height: int) -> int:
        return 1

    def prepare(self, picture: Picture) -> Canvas:
        middle = torch.from_numpy(picture.pixels[picture.height // 2, picture.width // 2].copy())
        size = SIZE if picture.height >= picture.width else SIZE[::-1]
        return Canvas(middle[:, None, None].expand(3, *size), torch.eye(2, 3), picture.width, picture.height)

    def run(self, canvases: Tensor) -> Tensor:
        self.before_run(canvases)
        self.batch_sizes.append(len(canvases))
        reds = (mean_colour(canvases)[:, 0] / 26).long()
        return torch.nn.functional.one_hot(reds, 10).float()[:, :, None, None].expand(-1, -1, 2, 2)

    def finish(self, logits: Tensor, canvas: Canvas) -> Tensor:
        return torch.full((canvas.height, canvas.width), int(logits[:, 0, 0].argmax()), dtype=torch.uint8)

    def record(self, height: int, width: int) -> None:
        pass

    def warm(self) -> None:
        pass


class EchoPeople:
    """A tenth of the picture's mean red, and at most ten, is how many people there are.

    The one of number n has the box [2n, 3, 6, 9], and is there with a score of 0.95 less a tenth of n.
    """

    def __init__(
        self,
        before_run: Hook = lambda batch: None,
        *,
        name: str = "echo-people",
        version: str = "",
        shift: float = 0.0,
    ) -> None:
        self.entry = entry(name, "people", "person", PeopleHeadConfig())
        if version:
            self.entry = replace(self.entry, sha256=version.ljust(64, "0"))
        self.before_run, self.shift = before_run, shift
        self.batch_sizes: list[int] = []

    def shrink(self, width: int, height: int) -> int:
        return 1

    def prepare(self, picture: Picture) -> Canvas:
        colour = mean_colour(torch.from_numpy(picture.pixels).permute(2, 0, 1)).round().to(torch.uint8)
        pixels = colour[:, None, None].expand(3, *SIZE)
        return Canvas(pixels, torch.eye(2, 3), picture.width, picture.height)

    def run(self, canvases: Tensor) -> Tensor:
        self.before_run(canvases)
        self.batch_sizes.append(len(canvases))
        number = torch.arange(100.0)
        left, top = 2 * number + self.shift, torch.full((100,), 3.0)
        rows = torch.stack([left, top, left + 6, top + 9, 0.95 - number / 10], dim=1)
        counts = (mean_colour(canvases)[:, 0] / 10).clamp(max=10)
        return rows * (number < counts[:, None].floor())[..., None]

    def finish(
        self, found: Tensor, canvas: Canvas, *, box_threshold: float | None, max_people: int
    ) -> list[Detection]:
        threshold = 0.3 if box_threshold is None else box_threshold
        rows = [row for row in found.tolist() if row[4] > 0 and row[4] >= threshold]
        return [
            Detection(Box(left, top, right - left, bottom - top), score)
            for left, top, right, bottom, score in rows[:max_people]
        ]

    def record(self, height: int, width: int) -> None:
        pass

    def warm(self) -> None:
        pass
