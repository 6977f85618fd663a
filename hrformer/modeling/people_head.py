"""Centres and boxes of people from the highest resolution."""

import torch
from torch import Tensor, nn

from hrformer.modeling.blocks import conv_norm
from hrformer.modeling.config import BackboneConfig, PeopleHeadConfig

STRIDE = 4  # input px from one place of the map to the next; place i looks at pixel 4 i
_LARGEST = 6.0  # of the exponent: 1,600 px, more than any input has


class PeopleHead(nn.Module):
    """Two towers of one 3×3 convolution each: is a person's centre here, and how far are the box's sides.

    Centres are CenterNet's (arXiv:1904.07850), sides FCOS's (arXiv:1904.01355).
    """

    def __init__(self, backbone: BackboneConfig, config: PeopleHeadConfig) -> None:
        super().__init__()
        inputs, channels = backbone.channels[0], config.channels
        self.centre_tower = conv_norm(inputs, channels, 3)
        self.centres = nn.Conv2d(channels, 1, 1)
        self.side_tower = conv_norm(inputs, channels, 3)
        self.sides = nn.Conv2d(channels, 4, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Centre logits `(batch, h, w)` and distances `(batch, 4, h, w)` to left, top, right and bottom.

        h, w: a quarter of the input's. Distances are float32 and positive, in input px.
        """
        centres: Tensor = self.centres(self.centre_tower(maps[0]))
        exponents = self.sides(self.side_tower(maps[0])).float().clamp(max=_LARGEST)
        return centres[:, 0], STRIDE * torch.exp(exponents)
