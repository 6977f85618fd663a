"""The blocks that stages are made of: transformer block, drop path, convolution blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.modeling.attention import WindowAttention
from hrformer.modeling.config import BackboneConfig
from hrformer.modeling.feed_forward import FeedForward


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    relu: bool = True,
) -> nn.Sequential:
    """Convolution that keeps the size or, by stride 2, halves it rounding up; batch norm; ReLU if wanted."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class DropPath(nn.Module):
    """In training, the residual of a sample is dropped with probability `rate`, the others are scaled up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.dim() - 1), device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1 - self.rate)


class TransformerBlock(nn.Module):
    """Window attention, then feed-forward, each with layer norm before and a residual around."""

    def __init__(self, channels: int, heads: int, config: BackboneConfig, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attention = WindowAttention(
            channels,
            heads,
            window_size=config.window_size,
            relative_bias=config.relative_bias,
            mask_padding=config.mask_padding,
        )
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.feed_forward = FeedForward(channels, config.feed_forward_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """HRFormer block (arXiv:2110.09408, section 3). `(batch, height, width, channels)` in and out."""
        x = x + self.drop_path(self.attention(self.norm1(x)))
        mixed: Tensor = x + self.drop_path(self.feed_forward(self.norm2(x)))
        return mixed


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 with a residual (ResNet, arXiv:1512.03385); depthwise in the classification head."""

    def __init__(self, inputs: int, middle: int, *, depthwise: bool = False) -> None:
        super().__init__()
        outputs = 4 * middle
        self.reduce = conv_norm(inputs, middle, 1)
        self.convolve = conv_norm(middle, middle, 3, groups=middle if depthwise else 1)
        self.expand = conv_norm(middle, outputs, 1, relu=False)
        self.shortcut = conv_norm(inputs, outputs, 1, relu=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.expand(self.convolve(self.reduce(x))) + self.shortcut(x))
