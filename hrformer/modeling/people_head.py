"""Centres and boxes of people, told at the highest resolution with what the lower ones know."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.modeling.blocks import conv_norm
from hrformer.modeling.config import BackboneConfig, PeopleHeadConfig
from hrformer.modeling.fusion import enlarge

STRIDE = 4  # input px from one place of the map to the next; place i looks at pixel 4 i
_LARGEST = 6.0  # of the exponent: 1,600 px, more than any input has


class PeopleHead(nn.Module):
    """Two towers of one convolution each: is a person's centre here, and how far are the box's sides.

    Centres are CenterNet's (arXiv:1904.07850), sides FCOS's (arXiv:1904.01355). The sides of someone large
    lie further from their centre than the highest resolution sees, so each lower one says what it knows
    through a 1×1 convolution, added up from the lowest on as in a feature pyramid (arXiv:1612.03144).
    """

    def __init__(self, backbone: BackboneConfig, config: PeopleHeadConfig) -> None:
        super().__init__()
        (highest, *lower), channels = backbone.channels, config.channels
        self.upsample = backbone.upsample
        self.centre_tower = conv_norm(highest, channels, 3, relu=False)
        self.centres = nn.Conv2d(channels, 1, 1)
        self.side_tower = conv_norm(highest, channels, 3, relu=False)
        self.sides = nn.Conv2d(channels, 4, 1)
        self.context = nn.ModuleList(conv_norm(inputs, 2 * channels, 1, relu=False) for inputs in lower)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Centre logits `(batch, h, w)` and distances `(batch, 4, h, w)` to left, top, right and bottom.

        h, w: a quarter of the input's. Distances are float32 and positive, in input px.
        """
        for_centres, for_sides = self._context(maps).chunk(2, dim=1)
        centres: Tensor = self.centres(F.relu(self.centre_tower(maps[0]) + for_centres))
        exponents = self.sides(F.relu(self.side_tower(maps[0]) + for_sides)).float().clamp(max=_LARGEST)
        return centres[:, 0], STRIDE * torch.exp(exponents)

    def _context(self, maps: list[Tensor]) -> Tensor:
        """What the lower resolutions add to both towers, in the size of the highest."""
        told = [layer(x) for layer, x in zip(self.context, maps[1:], strict=True)]
        context: Tensor = told.pop()
        for finer in reversed(told):
            context = finer + enlarge(context, 2, (finer.shape[2], finer.shape[3]), self.upsample)
        return enlarge(context, 2, (maps[0].shape[2], maps[0].shape[3]), self.upsample)
