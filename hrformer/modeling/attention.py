"""Multi-head self-attention inside local windows, with relative position bias."""

import torch
from torch import Tensor, nn

from hrformer.modeling.config import RelativeBias
from hrformer.modeling.windows import (
    from_windows,
    padded_tokens,
    relative_position_index,
    to_windows,
    window_grid,
)


class WindowAttention(nn.Module):
    """Local-window self-attention (arXiv:2110.09408, equations 1 to 3).

    Padded tokens take part: after the projections they are the biases of query, key and value, one sink of
    varying weight that the published weights expect in the softmax.
    """

    bias_index: Tensor

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        window_size: int = 7,
        relative_bias: RelativeBias = "added",
        mask_padding: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = channels // heads
        self.window_size = window_size
        self.adds_bias = relative_bias == "added"
        self.mask_padding = mask_padding
        self.qkv = nn.Linear(channels, 3 * channels)
        self.projection = nn.Linear(channels, channels)
        if relative_bias != "absent":
            self.bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, heads))
            self.register_buffer("bias_index", relative_position_index(window_size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, height, width, channels)` in and out."""
        grid = window_grid(x.shape[1], x.shape[2], self.window_size)
        windows = to_windows(x, grid, self.window_size)  # (windows, tokens, channels)
        q, k, v = self.qkv(windows).unflatten(-1, (3, self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)  # (windows, heads, tokens, tokens)
        if self.adds_bias:
            scores = scores + self.bias()
        if (
            self.mask_padding
            and grid.rows * self.window_size > grid.height
            and grid.columns * self.window_size > grid.width
        ):
            padded = padded_tokens(grid, self.window_size, x.device).repeat(x.shape[0], 1)
            scores = scores.masked_fill(padded[:, None, None, :], float("-inf"))
        attended = (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)  # (windows, tokens, channels)
        return from_windows(self.projection(attended), grid, self.window_size)

    def bias(self) -> Tensor:
        """Relative position bias: `(heads, tokens, tokens)`; the first of the two is the query."""
        tokens = len(self.bias_index)
        return self.bias_table[self.bias_index.flatten()].view(tokens, tokens, self.heads).permute(2, 0, 1)
