"""People's keypoints: boxes → crops → heatmaps → keypoints in image pixels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.device import Recordable, Runner
from hrformer.engine.results import Box, Person
from hrformer.geometry.boxes import PADDING, Boxes, clip_boxes
from hrformer.geometry.crop import crop_boxes
from hrformer.geometry.keypoints import Refine, decode_heatmaps, heatmap_to_crop, merge_flipped
from hrformer.geometry.similarity import rescore
from hrformer.geometry.skeletons import FLIP_PAIRS, JOINTS
from hrformer.geometry.upright import extent_of, points_in_image
from hrformer.images.decode import Picture
from hrformer.modeling.config import PoseHeadConfig
from hrformer.modeling.network import Network


class BadBox(ValueError):
    """A box that shows nothing of the image; `index` tells which."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(f"box {index} {message}")
        self.index = index


def whole_box(width: int, height: int) -> tuple[float, float, float, float]:
    """The box of a whole image."""
    return (0.0, 0.0, float(width), float(height))


def check_boxes(boxes: Boxes, width: int, height: int) -> None:
    """raises: BadBox if one is not finite, has no area, or no pixel of the image."""
    for index, box in enumerate(boxes):
        if not _is_four_numbers(box):
            raise BadBox(index, f"is {box!r}; expected four finite numbers x, y, width, height")
        x, y, wide, high = box
        if wide <= 0 or high <= 0:
            raise BadBox(index, f"is {wide:g} by {high:g} px; expected a positive width and height")
        if x >= width or y >= height or x + wide <= 0 or y + high <= 0:
            raise BadBox(
                index,
                f"lies outside the image: x from {x:g} to {x + wide:g}, y from {y:g} to {y + high:g}, "
                f"but the image is {width} px wide and {height} px high; give boxes in its upright pixels",
            )


def _is_four_numbers(box: Any) -> bool:
    try:
        return len(box) == 4 and all(math.isfinite(value) for value in box)
    except (TypeError, OverflowError):
        return False


@dataclass(frozen=True)
class PoseCoding:
    """How a pose network was trained to say where a joint is; the manifest's `decode` table."""

    refine: Refine = "shift"  # from the heatmap's peak to below one pixel
    kernel: int = 11  # px of the blur before the refinement, odd
    udp: bool = False  # unbiased crops and strides (arXiv:1911.07524)
    padding: float = PADDING  # crop over box

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "PoseCoding":
        """The coding that a manifest describes. raises: ValueError for a field or value that is unknown."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown decode option {unknown[0]!r}; known are {', '.join(sorted(known))}")
        coding = cls(**values)
        if coding.refine not in get_args(Refine):
            raise ValueError(f"refine is {coding.refine!r}; expected one of {', '.join(get_args(Refine))}")
        return coding


class PoseEngine(Recordable):
    """A pose network with all that stands before and after it.

    `prepare` and `finish` may run on any thread; `run` on the one that owns the model.
    """

    def __init__(
        self, network: Network, entry: Entry, *, device: str = "auto", precision: str = "auto"
    ) -> None:
        if entry.config.head != PoseHeadConfig(len(JOINTS)):
            raise ValueError(
                f"model {entry.name!r} has {entry.config.head}; expected COCO's {len(JOINTS)} joints"
            )
        self.entry = entry
        self.input_size = entry.input_sizes[0]  # (height, width) of a crop
        self.coding = PoseCoding.from_values(entry.decode)
        self.runner = Runner(network, entry.pixels, device=device, precision=precision)

    def __call__(self, crops: Tensor) -> Tensor:
        """Heatmaps `(n, joints, h, w)` float32 of crops `(n, 3, height, width)`.

        crops: RGB, uint8 or float32 in 0..1.
        """
        return self.heatmaps(crops)

    def shrink(self, width: int, height: int, boxes: Boxes | None = None) -> int:
        """The largest reduction, 1 to 8, at which the picture still has the pixels that the crops show.

        width, height: of the upright image; boxes: None for the whole picture.
        """
        shown = [whole_box(width, height)] if boxes is None or len(boxes) == 0 else boxes
        rows, columns = self.input_size
        ratio = math.inf
        for _, _, wide, high in clip_boxes(shown, width, height):
            shown_x, shown_y = extent_of(wide, high, self.input_size, self.coding.padding)
            ratio = min(ratio, shown_x / columns, shown_y / rows)
        return 1 << min(3, math.floor(math.log2(max(ratio, 1))))

    def prepare(self, picture: Picture, boxes: Boxes) -> tuple[Tensor, Tensor]:
        """Crops `(n, 3, height, width)` uint8, and matrices `(n, 2, 3)` from the full upright image to them.

        A box that leaves the image is clipped first.
        """
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        clipped = clip_boxes(boxes, picture.width, picture.height)
        padding, udp = self.coding.padding, self.coding.udp
        return crop_boxes(image, clipped, self.input_size, padding=padding, udp=udp, shrink=picture.shrink)

    @torch.inference_mode()
    def heatmaps(self, crops: Tensor, *, flip_test: bool = False) -> Tensor:
        """Heatmaps `(n, joints, h, w)` float32, on the device, of crops uint8 or float32 in 0..1.

        flip_test: the mean with the mirrored crop's, turned back.
        """
        inputs = self.runner.normalise(crops)
        heatmaps: Tensor = self.runner.outputs(inputs).float()
        if not flip_test:
            return heatmaps
        mirrored: Tensor = self.runner.outputs(inputs.flip(-1)).float()
        return merge_flipped(heatmaps, mirrored, FLIP_PAIRS, shift=not self.coding.udp)

    def run(self, crops: Tensor, flip_test: bool = False) -> Tensor:
        """Keypoints `(n, joints, 3)` float32 on the CPU: x and y in crop pixels, score in 0..1.

        crops: `(n, 3, height, width)` uint8. flip_test: decode the mean with the mirrored crop's heatmaps.
        """
        return self.runner.run(partial(self._run, flip_test=flip_test), crops)

    def _run(self, crops: Tensor, *, flip_test: bool) -> Tensor:
        heatmaps = self.heatmaps(crops, flip_test=flip_test)
        keypoints = decode_heatmaps(heatmaps, self.coding.refine, self.coding.kernel)
        size = (heatmaps.shape[2], heatmaps.shape[3])
        found = heatmap_to_crop(keypoints, size, self.input_size, udp=self.coding.udp)
        found[..., 2].clamp_(0, 1)  # a network may overshoot
        return found.cpu()

    def finish(
        self, keypoints: Tensor, matrices: Tensor, boxes: Boxes, scores: Sequence[float] | None = None
    ) -> list[Person]:
        """People in the order of the boxes, their keypoints in image pixels, their scores in 0..1.

        keypoints, matrices: of `run` and `prepare`. scores: of the boxes, 1 where None.
        """
        points = points_in_image(keypoints.numpy(), matrices.numpy())
        box_scores = [1.0] * len(boxes) if scores is None else scores
        return [
            Person(Box(*map(float, box)), rescore(person[:, 2].tolist(), score), person, score)
            for box, person, score in zip(boxes, points, box_scores, strict=True)
        ]

    def warm(self) -> None:
        """Runs once, so that the first request does not pay for what is set up lazily."""
        self.run(torch.zeros(1, 3, *self.input_size, dtype=torch.uint8))
