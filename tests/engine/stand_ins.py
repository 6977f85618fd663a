"""Networks that show what lies in the picture, so that what stands around a network can be measured."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.checkpoints.manifest import PixelFormat
from hrformer.engine.pose import PoseEngine
from hrformer.engine.predictor import Predictor
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.modeling.config import NetworkConfig, SegmentationHeadConfig
from tests.material import mask_entry, pose_entry, shallow

AS_IT_IS = PixelFormat(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class BrightSpot(nn.Module):
    """Each heatmap is the picture's brightness, at a quarter of the size."""

    def __init__(self, *, udp: bool) -> None:
        super().__init__()
        self.udp = udp

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2] // 4, images.shape[3] // 4
        grey = images.mean(dim=1, keepdim=True)
        if self.udp:
            maps = F.interpolate(grey, size=(height, width), mode="bilinear", align_corners=True)
        else:
            maps = grey[:, :, ::4, ::4]
        return maps.expand(-1, 17, -1, -1).contiguous()


class Colours(nn.Module):
    """Logits of three classes: how red, green and blue the picture is."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.head = ColourHead()


class ColourHead(nn.Module):
    """What `Colours` says, at a quarter of the size."""

    def logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (images.shape[2] // 4, images.shape[3] // 4)
        logits = F.interpolate(images, size=size, mode="bilinear", align_corners=True)
        return logits, logits


def spot_predictor(*, udp: bool, size: tuple[int, int] = (128, 96)) -> Predictor:
    decode = {"refine": "udp", "udp": True} if udp else {"refine": "shift"}
    entry = pose_entry(size=size, decode=decode, pixels=AS_IT_IS)
    return Predictor(PoseEngine(BrightSpot(udp=udp), entry, device="cpu"))  # type: ignore[arg-type]


def colour_predictor(sizes: tuple[tuple[int, int], ...] = ((96, 64), (64, 96))) -> Predictor:
    config = NetworkConfig(shallow(), SegmentationHeadConfig(3))
    entry = mask_entry(config=config, input_sizes=sizes, pixels=AS_IT_IS)
    return Predictor(SegmentationEngine(Colours(), entry, device="cpu"))  # type: ignore[arg-type]


def spot(width: int, height: int, x: float, y: float, sigma_px: float) -> np.ndarray:
    """A picture `(height, width, 3)` with one soft bright spot."""
    rows, columns = np.mgrid[:height, :width]
    brightness = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma_px**2))
    return np.repeat((255 * brightness).round().astype(np.uint8)[..., None], 3, axis=2)


def red_left_of(edge_px: float, width: int, height: int) -> np.ndarray:
    """A picture `(height, width, 3)` whose red fades into blue; both are the same at column `edge_px`."""
    ramp = 127.5 + 127 * (np.arange(width) - edge_px) / max(edge_px, width - edge_px)
    blue = np.broadcast_to(ramp.round().astype(np.uint8), (height, width))
    return np.ascontiguousarray(np.stack([255 - blue, np.zeros_like(blue), blue], axis=-1))


def random_picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return torch.randint(
        0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    ).numpy()
