"""How a training crop looks: light, contrast, saturation, hue of the light; blur; blanked rectangles."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hrformer.training.augmentation.geometric import Draw

GREY = (0.299, 0.587, 0.114)  # luma of R, G, B (ITU-R BT.601)
SHARPEST_PX, BLURRIEST_PX = 0.5, 2.0  # standard deviation of a blur
REACH_PX = 6  # three of the largest deviation


def vary_colour(pictures: Tensor, strength: float, draw: Draw) -> Tensor:
    """Pictures `(n, 3, h, w)` float32 in 0..255, each in a light, contrast and saturation of its own.

    strength: 0 leaves them as they are.
    """

    def factor(low: float, high: float) -> Tensor:
        return draw.uniform(low, high)[:, None, None, None]

    grey = (pictures * pictures.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
    pictures = grey + (pictures - grey) * factor(1 - 1.5 * strength, 1 + strength)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    pictures = mean + (pictures - mean) * factor(1 - strength, 1 + strength)
    light = torch.cat([factor(1 - strength / 3, 1 + strength / 3) for _ in range(3)], dim=1)
    return (pictures * light * factor(1 - strength, 1 + strength)).clamp(0, 255)


def blur(pictures: Tensor, probability: float, draw: Draw) -> Tensor:
    """`(n, 3, h, w)` pictures, some out of focus, each by a Gaussian of its own width."""
    if probability == 0:
        return pictures
    deviation, chosen = draw.uniform(SHARPEST_PX, BLURRIEST_PX), draw.chance(probability)
    rows = chosen.nonzero()[:, 0]
    pictures = pictures.clone()
    pictures[rows] = gaussian(pictures[rows], deviation[rows])
    return pictures


def gaussian(pictures: Tensor, deviation_px: Tensor) -> Tensor:
    """`(n, channels, h, w)` pictures blurred by as many standard deviations `(n,)`; edges are repeated."""
    steps = torch.arange(REACH_PX + 1, device=pictures.device)
    taps = torch.exp(-0.5 * (steps / deviation_px[:, None]) ** 2)  # (n, REACH_PX + 1)
    taps = (taps / (2 * taps.sum(dim=1, keepdim=True) - 1))[:, :, None, None, None]
    for axis in (2, 3):
        length = pictures.shape[axis]
        margins = [REACH_PX, REACH_PX, 0, 0] if axis == 3 else [0, 0, REACH_PX, REACH_PX]
        padded = F.pad(pictures, margins, mode="replicate")
        pictures = pictures * taps[:, 0]
        for step in range(1, REACH_PX + 1):
            before = padded.narrow(axis, REACH_PX - step, length)
            after = padded.narrow(axis, REACH_PX + step, length)
            pictures = pictures + (before + after) * taps[:, step]
    return pictures


def erase(pictures: Tensor, probability: float, draw: Draw) -> Tensor:
    """`(n, 3, h, w)` pictures, some with one rectangle of up to 35 % of each side in one colour."""
    height, width = pictures.shape[2:]
    across = _span(width, draw)[:, None, None, :]
    down = _span(height, draw)[:, None, :, None]
    colour = torch.stack([draw.uniform(0, 255) for _ in range(3)], dim=1)[:, :, None, None]
    blank = across & down & draw.chance(probability)[:, None, None, None]
    return torch.where(blank, colour, pictures)


def _span(side: int, draw: Draw) -> Tensor:
    position = torch.arange(side, device=draw.device) / side
    start, length = draw.uniform(0, 1), draw.uniform(0.1, 0.35)
    return (position >= (start - length / 2)[:, None]) & (position < (start + length / 2)[:, None])
