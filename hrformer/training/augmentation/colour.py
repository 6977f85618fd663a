"""How a training crop looks: brightness, contrast, saturation, hue of the light; blanked rectangles."""

import torch
from torch import Tensor

from hrformer.training.augmentation.geometric import Draw

GREY = (0.299, 0.587, 0.114)  # luma of R, G, B (ITU-R BT.601)


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
