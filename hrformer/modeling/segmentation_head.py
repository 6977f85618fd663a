"""Object-contextual representations (OCR, arXiv:1909.11065) over all resolutions, with an auxiliary head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.modeling.blocks import conv_norm
from hrformer.modeling.config import BackboneConfig, SegmentationHeadConfig


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with aligned corners, as everywhere in this head."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Gather(nn.Module):
    """Class proxies: pixels weighted by each class's softmax over positions (equation 2)."""

    def forward(self, pixels: Tensor, class_logits: Tensor) -> Tensor:
        """`(batch, channels, h, w)` and `(batch, classes, h, w)` → `(batch, channels, classes, 1)`."""
        shares = class_logits.flatten(2).softmax(dim=2)
        return (pixels.flatten(2) @ shares.transpose(1, 2)).unsqueeze(3)


class ObjectAttention(nn.Module):
    """Each pixel attends to the class proxies (equations 3 and 4)."""

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.key_channels = key_channels
        self.query = nn.Sequential(
            conv_norm(channels, key_channels, 1, bias=True),
            conv_norm(key_channels, key_channels, 1, bias=True),
        )
        self.key = nn.Sequential(
            conv_norm(channels, key_channels, 1, bias=True),
            conv_norm(key_channels, key_channels, 1, bias=True),
        )
        self.value = conv_norm(channels, key_channels, 1, bias=True)
        self.output = conv_norm(key_channels, channels, 1, bias=True)

    def forward(self, pixels: Tensor, proxies: Tensor) -> Tensor:
        """Context of each pixel, shaped like `pixels`."""
        q = self.query(pixels).flatten(2).transpose(1, 2)  # (batch, positions, key_channels)
        k = self.key(proxies).flatten(2)  # (batch, key_channels, classes)
        v = self.value(proxies).flatten(2).transpose(1, 2)  # (batch, classes, key_channels)
        weights = (self.key_channels**-0.5 * (q @ k)).softmax(dim=-1)
        context = (weights @ v).transpose(1, 2).unflatten(2, pixels.shape[2:])
        attended: Tensor = self.output(context)
        return attended


class SegmentationHead(nn.Module):
    """Auxiliary and final logits at the input's size."""

    def __init__(self, backbone: BackboneConfig, config: SegmentationHeadConfig) -> None:
        super().__init__()
        inputs, channels = sum(backbone.channels), config.channels
        self.auxiliary = nn.Sequential(
            conv_norm(inputs, channels, 3, bias=True), nn.Conv2d(channels, config.classes, 1)
        )
        self.pixels = conv_norm(inputs, channels, 3, bias=True)
        self.gather = Gather()
        self.object_attention = ObjectAttention(channels, config.key_channels)
        self.merge = conv_norm(2 * channels, channels, 1, bias=True)
        self.dropout = nn.Dropout2d(config.dropout)
        self.classify = nn.Conv2d(channels, config.classes, 1)

    def logits(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Auxiliary and final logits at a quarter of the input's size."""
        height, width = maps[0].shape[2:]
        x = torch.cat([maps[0], *[resize(m, (height, width)) for m in maps[1:]]], dim=1)
        auxiliary = self.auxiliary(x)
        pixels = self.pixels(x)
        context = self.object_attention(pixels, self.gather(pixels, auxiliary))
        merged = self.dropout(self.merge(torch.cat([context, pixels], dim=1)))
        return auxiliary, self.classify(merged)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """`(auxiliary, final)`, each `(batch, classes, *size)`."""
        auxiliary, final = self.logits(maps)
        return resize(auxiliary, size), resize(final, size)
