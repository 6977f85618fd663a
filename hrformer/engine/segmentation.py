"""The class of every pixel: picture → canvas of a fixed size → logits → class map at the picture's size."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.device import Recordable, Runner
from hrformer.engine.letterbox import Canvas, Size, letterbox, reduction, size_for
from hrformer.geometry.masks import class_map, figure_first
from hrformer.images.decode import Picture
from hrformer.modeling.config import SegmentationHeadConfig
from hrformer.modeling.network import Network

STEP_PX = 32  # the stride of the network's lowest resolution


@dataclass(frozen=True)
class SegmentationCoding:
    """How the logits are read; the manifest's `decode` table."""

    # Probability of all classes but the background together from which on a pixel is of one of them; without
    # it, every class, the background too, stands for itself.
    figure_from: float | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "SegmentationCoding":
        """The coding that a manifest describes. raises: ValueError for a field or value that is unknown."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown decode option {unknown[0]!r}; known are {', '.join(sorted(known))}")
        least = values.get("figure_from")
        if least is not None and not (isinstance(least, float) and 0 < least < 1):
            raise ValueError(f"decode option figure_from is {least!r}; expected a number between 0 and 1")
        return cls(**values)


class SegmentationEngine(Recordable):
    """A segmentation network with all that stands before and after it.

    `prepare` and `finish` may run on any thread; `run` on the one that owns the model.
    """

    def __init__(
        self, network: Network, entry: Entry, *, device: str = "auto", precision: str = "auto"
    ) -> None:
        self.entry = entry
        self.input_sizes = entry.input_sizes
        assert isinstance(entry.config.head, SegmentationHeadConfig)
        self.classes = entry.config.head.classes
        self.coding = SegmentationCoding.from_values(entry.decode)
        self.background = _background(entry) if self.coding.figure_from else None
        self.runner = Runner(network, entry.pixels, device=device, precision=precision, outputs=_FinalLogits)

    def __call__(self, canvases: Tensor) -> Tensor:
        """Logits `(n, classes, h, w)` float32 of canvases `(n, 3, height, width)`.

        canvases: RGB, uint8 or float32 in 0..1.
        """
        return self.run(canvases)

    def size_for(self, width: int, height: int) -> Size:
        """The input size, (height, width), in which a picture of this shape is shown the largest."""
        return size_for(self.input_sizes, width, height)

    def shrink(self, width: int, height: int, scale: float = 1.0) -> int:
        """The largest reduction, 1 to 8, at which the picture still has the pixels that the canvas shows."""
        return reduction(scaled(self.size_for(width, height), scale), width, height)

    def prepare(self, picture: Picture, scale: float = 1.0) -> Canvas:
        """The picture in the middle of its canvas, as large as fits; scale: of the usual size."""
        return letterbox(picture, scaled(self.size_for(picture.width, picture.height), scale))

    def run(self, canvases: Tensor) -> Tensor:
        """Logits `(n, classes, height / 4, width / 4)` float32 on the CPU.

        canvases: `(n, 3, height, width)` uint8.
        """
        return self.runner.run(self._run, canvases)

    def _run(self, canvases: Tensor) -> Tensor:
        logits: Tensor = self.runner.outputs(self.runner.normalise(canvases))
        return logits.float().cpu()

    def finish(self, logits: Tensor, canvas: Canvas) -> Tensor:
        """Class map `(height, width)` uint8 at the size of the upright picture.

        The logits are enlarged, not the classes: bilinear with the canvas's corners aligned, as in training.
        """
        if self.background is not None and self.coding.figure_from is not None:
            logits = figure_first(logits, self.background, self.coding.figure_from)
        return self._at_full_size(logits, canvas)

    def figure(self, logits: Tensor, canvas: Canvas, probability: float) -> Tensor:
        """Which pixels `(height, width)` are not background with at least this probability, 0 to 1; bool.

        raises: ValueError if the model knows no background.
        """
        background = _background(self.entry)
        others = torch.cat([logits[:background], logits[background + 1 :]])
        lead = others.logsumexp(dim=0) - logits[background]
        least = torch.full_like(lead, math.log(probability / (1 - probability)))
        return self._at_full_size(torch.stack([least, lead]), canvas) == 1

    def _at_full_size(self, logits: Tensor, canvas: Canvas) -> Tensor:
        """The class of each pixel of the upright picture."""
        steps = (torch.tensor(logits.shape[1:]) - 1) / (torch.tensor(canvas.pixels.shape[1:]) - 1)
        across, down = steps[1] * canvas.matrix[0, 0], steps[0] * canvas.matrix[1, 1]
        left, top = steps[1] * canvas.matrix[0, 2], steps[0] * canvas.matrix[1, 2]
        window = (
            float(top + 0.5 - 0.5 * down),
            float(left + 0.5 - 0.5 * across),
            float(down * canvas.height),
            float(across * canvas.width),
        )
        return class_map(logits, canvas.height, canvas.width, window=window)

    def warm(self) -> None:
        """Runs once for each size, so that the first request does not pay for what is set up lazily."""
        for size in self.input_sizes:
            self.run(torch.zeros(1, 3, *size, dtype=torch.uint8))


class _FinalLogits(nn.Module):
    """The last of a network's logits, at a quarter of the size, as they are before they are enlarged."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        _, logits = self.network.head.logits(self.network.backbone(inputs))  # type: ignore[operator]
        return logits  # type: ignore[no-any-return]


def _background(entry: Entry) -> int:
    """The index of the class "background". raises: ValueError if the model has none."""
    names = [name for name, _ in entry.palette]
    if "background" not in names:
        raise ValueError(f"model {entry.name!r} has no class 'background', so that nothing stands before it")
    return names.index("background")


def scaled(size: Size, scale: float) -> Size:
    """The size times the scale, in multiples of 32 px; unchanged at 1."""
    if scale == 1:
        return size
    height, width = (max(STEP_PX, math.floor(side * scale / STEP_PX + 0.5) * STEP_PX) for side in size)
    return height, width
