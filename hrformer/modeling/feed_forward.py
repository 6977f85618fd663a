"""Feed-forward with a depthwise convolution, through which neighbouring windows talk."""

import torch.nn.functional as F
from torch import Tensor, nn


class FeedForward(nn.Module):
    """1×1 up, depthwise 3×3, 1×1 down, each followed by batch norm and GELU (arXiv:2110.09408, section 3.2).

    The convolutions have biases although a batch norm follows, and the last GELU stands before the residual
    sum: so are the published weights.
    """

    def __init__(self, channels: int, ratio: int = 4) -> None:
        super().__init__()
        hidden = ratio * channels
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.expand_norm = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.depthwise_norm = nn.BatchNorm2d(hidden)
        self.reduce = nn.Conv2d(hidden, channels, 1)
        self.reduce_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, height, width, channels)` in and out."""
        x = x.permute(0, 3, 1, 2)  # (batch, channels, height, width)
        x = F.gelu(self.expand_norm(self.expand(x)))
        x = F.gelu(self.depthwise_norm(self.depthwise(x)))
        x = F.gelu(self.reduce_norm(self.reduce(x)))
        return x.permute(0, 2, 3, 1)
