"""The class of every pixel: picture → canvas of a fixed size → logits → class map at the picture's size."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.device import Runner
from hrformer.geometry.crop import crop_boxes
from hrformer.geometry.masks import class_map
from hrformer.images.decode import Picture
from hrformer.modeling.config import SegmentationHeadConfig
from hrformer.modeling.network import Network

Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class Canvas:
    """A picture letterboxed into one of the sizes that the network is run at."""

    pixels: Tensor  # (3, height, width) uint8, black where the picture is not
    matrix: Tensor  # (2, 3), full upright picture to canvas, px
    width: int  # px, of the full upright picture
    height: int


class SegmentationEngine:
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
        self.runner = Runner(network, entry.pixels, device=device, precision=precision)

    def __call__(self, canvases: Tensor) -> Tensor:
        """Logits `(n, classes, h, w)` float32 of canvases `(n, 3, height, width)`.

        canvases: RGB, uint8 or float32 in 0..1.
        """
        return self.run(canvases)

    def size_for(self, width: int, height: int) -> Size:
        """The input size, (height, width), in which a picture of this shape is shown the largest."""
        return max(
            self.input_sizes, key=lambda size: (min(size[0] / height, size[1] / width), -size[0] * size[1])
        )

    def shrink(self, width: int, height: int) -> int:
        """The largest reduction, 1 to 8, at which the picture still has the pixels that the canvas shows."""
        size = self.size_for(width, height)
        ratio = max(height / size[0], width / size[1])
        return 1 << min(3, math.floor(math.log2(max(ratio, 1))))

    def prepare(self, picture: Picture) -> Canvas:
        """The picture in the middle of its canvas, as large as fits."""
        height, width = picture.pixels.shape[:2]
        size = self.size_for(picture.width, picture.height)
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        # From the edge of the first pixel to that of the last: pixel centres lie at integers.
        whole = torch.tensor([[-0.5, -0.5, width, height]])
        pixels, matrices = crop_boxes(image, whole, size, padding=1.0, udp=True)
        matrix = matrices[0].clone()
        # Decoded at 1/shrink, pixel i lies about (i + 0.5) * shrink - 0.5 of the full picture.
        linear = matrix[:, :2] / picture.shrink
        shift = matrix[:, 2] + matrix[:, :2].sum(-1) * (0.5 / picture.shrink - 0.5)
        return Canvas(pixels[0], torch.cat([linear, shift[:, None]], dim=1), picture.width, picture.height)

    @torch.inference_mode()
    def run(self, canvases: Tensor) -> Tensor:
        """Logits `(n, classes, height / 4, width / 4)` float32 on the CPU.

        canvases: `(n, 3, height, width)` uint8.
        """
        network = self.runner.network
        with self.runner.autocast():
            _, logits = network.head.logits(network.backbone(self.runner.normalise(canvases)))  # type: ignore[operator]
        return logits.float().cpu()  # type: ignore[no-any-return]

    def finish(self, logits: Tensor, canvas: Canvas) -> Tensor:
        """Class map `(height, width)` uint8 at the size of the upright picture.

        The logits are enlarged, not the classes: bilinear with the canvas's corners aligned, as in training.
        """
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
