"""A picture as models take it: on a canvas, or as a crop of each person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hrformer.engine.letterbox import Canvas
from hrformer.engine.picture import Source
from hrformer.images.decode import Header, Limits, Picture, decode
from service.models import Boxes
from service.stage import Stage

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """A picture on its canvas."""

    canvas: Canvas
    pixels: Pixels | None  # where the answer needs them

    @property
    def items(self) -> Sequence[Tensor]:
        return [self.canvas.pixels]


@dataclass(frozen=True)
class Crops:
    """The people of a picture."""

    items: Sequence[Tensor]  # (3, height, width) uint8 each
    matrices: Tensor | None  # None when there is nobody
    boxes: Boxes
    scores: Sequence[float] | None  # of boxes that were found
    pixels: Pixels | None  # where the answer needs them


NOBODY = Crops([], None, [], [], None)


def source_of(image: bytes, header: Header, limits: Limits) -> Source:
    """The picture, decoded when it is wanted. What holds it may hold its pixels."""

    def decode_at(shrink: int) -> Picture:
        return decode(image, limits, shrink=shrink, header=header)

    return Source(header.width, header.height, decode_at, reduces=header.format == "JPEG")


def read_scene(source: Source, stage: Stage) -> Scene:
    """The picture on its canvas. raises: ImageError kin."""
    canvas = stage.served.model.prepare(source.picture(stage.shrink))
    return Scene(canvas, _drawn(source, stage))


def read_crops(source: Source, stage: Stage, boxes: Boxes, scores: Sequence[float] | None) -> Crops:
    """The crops of boxes that meet the picture. raises: ImageError kin."""
    picture = source.picture(stage.shrink)
    if not boxes:
        return Crops([], None, boxes, scores, _drawn(source, stage))
    crops, matrices = stage.served.model.prepare(picture, boxes)
    return Crops(crops.unbind(0), matrices, boxes, scores, _drawn(source, stage))


def _drawn(source: Source, stage: Stage) -> Pixels | None:
    return source.picture(1).pixels if stage.draws else None
