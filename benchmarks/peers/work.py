"""The same network, and the same steps before and after it, for every server that is compared.

A picture is one person, or one scene: its whole area is the box. Reading and writing may happen in any thread
or process; what lies between them can be pickled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import torch
from torch import Tensor

from benchmarks.setup import Setup
from hrformer.checkpoints.manifest import Entry, find
from hrformer.engine.letterbox import Canvas
from hrformer.engine.pose import PoseEngine, whole_box
from hrformer.engine.predictor import load_engine
from hrformer.engine.results import rounded_keypoints, rounded_score
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.geometry.skeletons import JOINTS
from hrformer.images.decode import Limits, decode, read_header
from hrformer.images.encode import encode_png_palette

LIMITS = Limits()


@dataclass(frozen=True)
class Item:
    """A picture, read: what the network takes, and what its answer needs later."""

    pixels: Tensor  # (3, height, width) uint8
    rest: Any  # matrix, width, height of a pose; the canvas of a scene


class PoseWork:
    """One person in the whole picture → JSON."""

    media_type = "application/json"

    def __init__(self, engine: PoseEngine) -> None:
        self.engine = engine

    def read(self, file: bytes) -> Item:
        """raises: ImageError kin."""
        header = read_header(file, LIMITS)
        boxes = [whole_box(header.width, header.height)]
        shrink = self.engine.shrink(header.width, header.height, boxes)
        picture = decode(file, LIMITS, shrink=shrink, header=header)
        crops, matrices = self.engine.prepare(picture, boxes)
        return Item(crops[0], (matrices, header.width, header.height))

    def write(self, item: Item, result: Tensor) -> bytes:
        matrices, width, height = item.rest
        [person] = self.engine.finish(result[None], matrices, [whole_box(width, height)])
        keypoints = [
            {"name": name, "x": x, "y": y, "score": score, "visible": score >= 0.3}
            for name, (x, y, score) in zip(JOINTS, rounded_keypoints(person), strict=True)
        ]
        found = {"box": list(person.box), "score": rounded_score(person.score), "keypoints": keypoints}
        image = {"width": width, "height": height}
        return orjson.dumps({"model": self.engine.entry.name, "image": image, "people": [found]})


class MaskWork:
    """The class of every pixel → palette PNG."""

    media_type = "image/png"

    def __init__(self, engine: SegmentationEngine) -> None:
        self.engine = engine

    def read(self, file: bytes) -> Item:
        """raises: ImageError kin."""
        header = read_header(file, LIMITS)
        shrink = self.engine.shrink(header.width, header.height)
        canvas = self.engine.prepare(decode(file, LIMITS, shrink=shrink, header=header))
        return Item(canvas.pixels, canvas)

    def write(self, item: Item, result: Tensor) -> bytes:
        canvas: Canvas = item.rest
        class_map = np.asarray(self.engine.finish(result, canvas))
        return encode_png_palette(class_map, self.engine.entry.palette)


class Work:
    """A loaded model with its work, for one process."""

    def __init__(self, setup: Setup) -> None:
        torch.set_num_threads(setup.threads)
        self.entry: Entry = find(setup.model)
        engine = load_engine(self.entry, device=setup.device)
        engine.warm()
        for size in self.entry.input_sizes:
            engine.record(*size)
        assert isinstance(engine, PoseEngine | SegmentationEngine)
        self.engine = engine
        self.task = PoseWork(engine) if isinstance(engine, PoseEngine) else MaskWork(engine)

    @property
    def media_type(self) -> str:
        return self.task.media_type

    def read(self, file: bytes) -> Item:
        """raises: ImageError kin."""
        return self.task.read(file)

    def run(self, items: Sequence[Item]) -> list[Tensor]:
        """The network's answer for each item; items of one size are run together."""
        by_size: dict[torch.Size, list[int]] = {}
        for number, item in enumerate(items):
            by_size.setdefault(item.pixels.shape, []).append(number)
        results: dict[int, Tensor] = {}
        for numbers in by_size.values():
            answers = self.engine.run(torch.stack([items[number].pixels for number in numbers]))
            results |= dict(zip(numbers, answers, strict=True))
        return [results[number] for number in range(len(items))]

    def write(self, item: Item, result: Tensor) -> bytes:
        return self.task.write(item, result)

    def answers(self, files: Sequence[bytes]) -> list[bytes]:
        """All three steps for files that came together."""
        items = [self.read(file) for file in files]
        return [self.write(item, result) for item, result in zip(items, self.run(items), strict=True)]
