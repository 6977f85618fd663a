"""What a picture shows: picture → crop of its middle → logits → the likeliest classes."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.device import Recordable, Runner
from hrformer.geometry.crop import crop_boxes
from hrformer.images.decode import Picture
from hrformer.modeling.config import ClassificationHeadConfig
from hrformer.modeling.network import Network

MIDDLE = 224 / 256  # of the shorter side that the crop shows: the picture on 256 px, cut to 224
TOP = 5


class ClassScore(NamedTuple):
    """A class that the picture may show."""

    name: str
    score: float  # 0 to 1; those of all classes sum to 1


class ClassificationEngine(Recordable):
    """A classification network with all that stands before and after it.

    `prepare` and `finish` may run on any thread; `run` on the one that owns the model.
    """

    def __init__(
        self, network: Network, entry: Entry, *, device: str = "auto", precision: str = "auto"
    ) -> None:
        assert isinstance(entry.config.head, ClassificationHeadConfig)
        self.classes = tuple(name for name, _ in entry.palette)
        if len(self.classes) != entry.config.head.classes:
            raise ValueError(
                f"model {entry.name!r} tells {entry.config.head.classes} classes, "
                f"but {len(self.classes)} are named"
            )
        self.entry = entry
        self.input_size = entry.input_sizes[0]  # (height, width) of a crop
        self.runner = Runner(network, entry.pixels, device=device, precision=precision)

    def __call__(self, crops: Tensor) -> Tensor:
        """Logits `(n, classes)` float32 of crops `(n, 3, height, width)`.

        crops: RGB, uint8 or float32 in 0..1.
        """
        return self.run(crops)

    def shrink(self, width: int, height: int) -> int:
        """The largest reduction, 1 to 8, at which the picture still has the pixels that the crop shows."""
        return 1 << min(3, math.floor(math.log2(max(self._extent_px(width, height), 1))))

    def prepare(self, picture: Picture) -> Tensor:
        """The crop `(3, height, width)` uint8 of the picture's middle."""
        rows, columns = picture.pixels.shape[:2]
        step = self._extent_px(columns, rows)
        height, width = (side * step for side in self.input_size)
        # The first pixel of the crop shows the middle of its `step` by `step` px; centres lie at integers.
        corner = (columns - width + step) / 2 - 0.5, (rows - height + step) / 2 - 0.5
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        crops, _ = crop_boxes(image, [(*corner, width, height)], self.input_size, padding=1.0)
        return crops[0]

    def run(self, crops: Tensor) -> Tensor:
        """Logits `(n, classes)` float32 on the CPU of crops `(n, 3, height, width)` uint8."""
        return self.runner.run(self._run, crops)

    def _run(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.runner.outputs(self.runner.normalise(crops))
        return logits.float().cpu()

    def finish(self, logits: Tensor, top: int = TOP) -> list[ClassScore]:
        """The likeliest classes, at most `top`, best first, of logits `(classes,)`."""
        scores, indices = logits.softmax(dim=0).topk(min(top, len(self.classes)))
        return [
            ClassScore(self.classes[index], score)
            for index, score in zip(indices.tolist(), scores.tolist(), strict=True)
        ]

    def warm(self) -> None:
        """Runs once, so that the first request does not pay for what is set up lazily."""
        self.run(torch.zeros(1, 3, *self.input_size, dtype=torch.uint8))

    def _extent_px(self, width: int, height: int) -> float:
        """The side of the square of a picture that a pixel of the crop shows."""
        return min(height / self.input_size[0], width / self.input_size[1]) * MIDDLE
