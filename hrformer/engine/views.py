"""A picture seen several times, mirrored and at several scales: the class map of all views together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hrformer.engine.letterbox import Canvas, batches
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.geometry.crop import warp
from hrformer.images.decode import Picture

SCALES = (0.25, 4.0)  # the smallest and the largest
_TINIEST = 1e-30  # a probability above 0, so that it has a logarithm


@dataclass(frozen=True)
class Views:
    """How often a picture is shown to a segmentation network. raises: ValueError for a scale out of range."""

    flip_test: bool = False  # also mirrored, from each scale
    scales: tuple[float, ...] = (1.0,)  # of the input size, 0.25 to 4; made to multiples of 32 px

    def __post_init__(self) -> None:
        if not self.scales or not all(SCALES[0] <= scale <= SCALES[1] for scale in self.scales):
            shown = ", ".join(f"{scale:g}" for scale in self.scales) or "none"
            raise ValueError(f"scales are {shown}; expected numbers from {SCALES[0]:g} to {SCALES[1]:g}")


def class_maps(
    engine: SegmentationEngine, pictures: Sequence[Picture], views: Views = Views()
) -> list[Tensor]:
    """Class maps `(height, width)` uint8 at the size of the upright pictures, in their order.

    Canvases of one size are run together. Of several views the probabilities are averaged, each at its place
    in the picture, on the grid of the finest one. Decode pictures for the largest scale: `engine.shrink`.
    """
    shown = [[engine.prepare(picture, scale) for scale in views.scales] for picture in pictures]
    logits = iter(_run(engine, [canvas for canvases in shown for canvas in canvases], views.flip_test))
    answers = []
    for canvases in shown:
        seen = [next(logits) for _ in canvases]
        finest = max(range(len(canvases)), key=lambda index: canvases[index].pixels.shape[1])
        together = seen[0] if len(seen) == 1 else _mean(seen, canvases, finest)
        answers.append(engine.finish(together, canvases[finest]))
    return answers


def _run(engine: SegmentationEngine, canvases: Sequence[Canvas], flip_test: bool) -> list[Tensor]:
    """Logits `(classes, h, w)` of each canvas; with the mirror image's, the logarithm of the mean."""
    found: dict[int, Tensor] = {}
    for rows in batches(canvases):
        batch = torch.stack([canvases[row].pixels for row in rows])
        logits = engine.run(batch)
        if flip_test:
            mirrored = engine.run(batch.flip(-1)).flip(-1)
            logits = ((logits.softmax(dim=1) + mirrored.softmax(dim=1)) / 2).clamp(min=_TINIEST).log()
        found |= dict(zip(rows, logits, strict=True))
    return [found[row] for row in range(len(canvases))]


def _mean(seen: Sequence[Tensor], canvases: Sequence[Canvas], finest: int) -> Tensor:
    """The logarithm of the mean probabilities `(classes, h, w)`, on the grid of the finest view."""
    size = (seen[finest].shape[1], seen[finest].shape[2])
    target = _to_logits(canvases[finest], seen[finest])
    total = torch.zeros_like(seen[finest])
    for logits, canvas in zip(seen, canvases, strict=True):
        source = _to_logits(canvas, logits)
        ratio = target[:, 0] / source[:, 0]
        shift = target[:, 1] - ratio * source[:, 1]
        matrix = torch.cat([torch.diag(ratio), shift[:, None]], dim=1)
        total += warp(logits.softmax(dim=0)[None], matrix[None], size)[0]
    return (total / len(seen)).clamp(min=_TINIEST).log()


def _to_logits(canvas: Canvas, logits: Tensor) -> Tensor:
    """Scale and shift `(2, 2)` of x and y from the picture to the logits, whose corners are the canvas's."""
    sides = torch.tensor(canvas.pixels.shape[:0:-1])  # width, height
    steps = (torch.tensor(logits.shape[:0:-1]) - 1) / (sides - 1)
    return torch.stack([canvas.matrix.diagonal(), canvas.matrix[:, 2]], dim=1) * steps[:, None]
