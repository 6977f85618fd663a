"""Everyone in the picture: picture → canvas of a fixed size → centres and sides → boxes in its pixels.

How the poses of those who are found are estimated next is told in `hrformer.engine.finding`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.device import Recordable, Runner
from hrformer.engine.letterbox import Canvas, Size, letterbox, reduction, size_for
from hrformer.engine.results import COORDINATE_DIGITS, Box, Detection
from hrformer.engine.search import AT_MOST
from hrformer.engine.side_by_side import on_one_thread
from hrformer.geometry.detections import decode_boxes, merge_looks, mirrored_boxes
from hrformer.geometry.upright import points_in_image
from hrformer.images.decode import Picture
from hrformer.modeling.config import PeopleHeadConfig
from hrformer.modeling.network import Network


@dataclass(frozen=True)
class PeopleCoding:
    """How the maps are read; the manifest's `decode` table."""

    overlap: float = 0.6  # IoU with a better box above which one goes, 0 to 1
    threshold: float = 0.3  # score from which on a person counts as found, unless the caller gives another
    flip_test: bool = False  # look at the mirrored picture too

    def __post_init__(self) -> None:
        given: dict[str, Any] = dict(vars(self))
        if not isinstance(flip_test := given.pop("flip_test"), bool):
            raise ValueError(f"decode option flip_test is {flip_test!r}; expected true or false")
        for name, value in given.items():
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"decode option {name} is {value!r}; expected a number from 0 to 1")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "PeopleCoding":
        """The coding that a manifest describes. raises: ValueError for a field or value that is unknown."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown decode option {unknown[0]!r}; known are {', '.join(sorted(known))}")
        return cls(**values)


class PeopleEngine(Recordable):
    """A network that finds people, with all that stands before and after it.

    `prepare` and `finish` may run on any thread; `run` on the one that owns the model.
    """

    def __init__(
        self, network: Network, entry: Entry, *, device: str = "auto", precision: str = "auto"
    ) -> None:
        assert isinstance(entry.config.head, PeopleHeadConfig)
        self.entry = entry
        self.input_sizes = entry.input_sizes
        self.coding = PeopleCoding.from_values(entry.decode)
        self.runner = Runner(network, entry.pixels, device=device, precision=precision)

    def size_for(self, width: int, height: int) -> Size:
        """The input size, (height, width), in which a picture of this shape is shown the largest."""
        return size_for(self.input_sizes, width, height)

    def shrink(self, width: int, height: int) -> int:
        """The largest reduction, 1 to 8, at which the picture still has the pixels that the canvas shows."""
        return reduction(self.size_for(width, height), width, height)

    def prepare(self, picture: Picture) -> Canvas:
        """The picture in the middle of its canvas, as large as fits."""
        return letterbox(picture, self.size_for(picture.width, picture.height))

    def run(self, canvases: Tensor) -> Tensor:
        """What is found, `(n, 100, 5)` float32 on the CPU: left, top, right, bottom, score; best first.

        canvases: `(n, 3, height, width)` uint8. Boxes are in px of the canvas. Rows of score 0 are empty.
        """
        if not self.coding.flip_test:
            return self.runner.run(self._run, canvases).cpu()
        # One batch of both, since parts of a batch are computed side by side.
        with on_one_thread():
            looks = torch.cat([canvases, canvases.flip(-1)])
        plain, mirrored = self.runner.run(self._run, looks).chunk(2)
        with on_one_thread():
            boxes = mirrored_boxes(mirrored[..., :4], canvases.shape[-1])
            mirrored = torch.cat([boxes, mirrored[..., 4:]], dim=2)
            return merge_looks(plain, mirrored, overlap=self.coding.overlap).cpu()

    def _run(self, canvases: Tensor) -> Tensor:
        """As `run`, of one look, on the device."""
        centres, sides = self.runner.outputs(self.runner.normalise(canvases))
        boxes, scores = decode_boxes(centres.float(), sides, limit=AT_MOST, overlap=self.coding.overlap)
        return torch.cat([boxes, scores[..., None]], dim=2)

    def finish(
        self,
        found: Tensor,
        canvas: Canvas,
        *,
        box_threshold: float | None = None,
        max_people: int = AT_MOST,
    ) -> list[Detection]:
        """At most `max_people` of score `box_threshold` or more, best first; boxes in px of the picture.

        found: `(100, 5)`, a row of what `run` gave. box_threshold: the model's own where None. Boxes are cut
        at the picture's edges; what then has no area is left out. They are told to 0.01 px, as in an answer:
        given back, they are the same boxes.
        """
        threshold = self.coding.threshold if box_threshold is None else box_threshold
        rows = found.numpy()
        chosen = rows[(rows[:, 4] >= threshold) & (rows[:, 4] > 0)]
        corners = points_in_image(chosen[None, :, :4].reshape(1, -1, 2), canvas.matrix[None].numpy())[0] + 0.5
        cut = np.clip(corners, 0, np.array([canvas.width, canvas.height], np.float32)).reshape(-1, 4)
        cut = cut.astype(np.float64).round(COORDINATE_DIGITS)
        detections = [
            Detection(_box(*edges), score)
            for edges, score in zip(cut.tolist(), chosen[:, 4].tolist(), strict=True)
        ]
        return [one for one in detections if one.box.width > 0 and one.box.height > 0][:max_people]

    def warm(self) -> None:
        """Runs once for each size, so that the first request does not pay for what is set up lazily."""
        for size in self.input_sizes:
            self.run(torch.zeros(1, 3, *size, dtype=torch.uint8))


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    width, height = round(right - left, COORDINATE_DIGITS), round(bottom - top, COORDINATE_DIGITS)
    return Box(left, top, width, height)
