"""Token maps to windows and back, and the index of relative positions inside a window."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class WindowGrid(NamedTuple):
    """How a map was cut: its size, the padding above and left of it, and the windows down and across."""

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int


def window_grid(height: int, width: int, window_size: int) -> WindowGrid:
    """Padding to whole windows on both sides of each axis; an odd line goes to the bottom or the right."""
    rows, columns = -(-height // window_size), -(-width // window_size)
    return WindowGrid(
        height=height,
        width=width,
        top=(rows * window_size - height) // 2,
        left=(columns * window_size - width) // 2,
        rows=rows,
        columns=columns,
    )


def to_windows(x: Tensor, grid: WindowGrid, window_size: int) -> Tensor:
    """Windows `(windows, tokens, channels)`, row by row, of a map `(batch, height, width, channels)`."""
    bottom = grid.rows * window_size - grid.height - grid.top
    right = grid.columns * window_size - grid.width - grid.left
    if grid.top or grid.left or bottom or right:
        x = F.pad(x, (0, 0, grid.left, right, grid.top, bottom))
    batch, channels = x.shape[0], x.shape[3]
    x = x.reshape(batch, grid.rows, window_size, grid.columns, window_size, channels)
    return x.transpose(2, 3).reshape(-1, window_size * window_size, channels)


def from_windows(windows: Tensor, grid: WindowGrid, window_size: int) -> Tensor:
    """The inverse of `to_windows`, with the padding cut away: `(batch, height, width, channels)`."""
    channels = windows.shape[-1]
    x = windows.reshape(-1, grid.rows, grid.columns, window_size, window_size, channels).transpose(2, 3)
    x = x.reshape(-1, grid.rows * window_size, grid.columns * window_size, channels)
    return x[:, grid.top : grid.top + grid.height, grid.left : grid.left + grid.width]


def padded_tokens(grid: WindowGrid, window_size: int, device: torch.device) -> Tensor:
    """Which tokens of the windows of one map are padding: `(rows * columns, tokens)` bool."""
    inside = torch.ones(1, grid.height, grid.width, 1, device=device)
    return to_windows(inside, grid, window_size)[..., 0] == 0


def relative_position_index(window_size: int) -> Tensor:
    """Row of the bias table for each pair of query and key: `(tokens, tokens)` int64.

    `(row_query - row_key + w - 1) * (2w - 1) + (column_query - column_key + w - 1)`, tokens row by row (Swin,
    arXiv:2103.14030, equation 4).
    """
    rows = torch.arange(window_size).repeat_interleave(window_size)
    columns = torch.arange(window_size).repeat(window_size)
    down = rows[:, None] - rows[None, :] + window_size - 1
    across = columns[:, None] - columns[None, :] + window_size - 1
    return down * (2 * window_size - 1) + across
