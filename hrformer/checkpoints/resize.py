"""Bias tables for another window, as the authors resize them."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from hrformer.checkpoints.keys import window_of_table


def resize_bias_table(table: Tensor, window_size: int) -> Tensor:
    """The table for windows of `window_size`: `((2 w - 1)², heads)` → `((2 window_size - 1)², heads)`.

    Each head's table is a square image over the offsets, resized bilinearly without aligned corners.
    raises: KeysDoNotMatch if the table is that of no window.
    """
    old, new = 2 * window_of_table(table.shape[0]) - 1, 2 * window_size - 1
    if old == new:
        return table
    image = table.T.reshape(1, -1, old, old)
    resized = F.interpolate(image, size=(new, new), mode="bilinear", align_corners=False)
    return resized.reshape(-1, new * new).T.contiguous()


def resize_bias_tables(state: Mapping[str, Tensor], window_size: int) -> dict[str, Tensor]:
    """The state with each of its bias tables resized."""
    return {
        key: resize_bias_table(value, window_size) if key.endswith("bias_table") else value
        for key, value in state.items()
    }
