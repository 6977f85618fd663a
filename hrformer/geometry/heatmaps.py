"""Training targets of the pose network: one Gaussian per joint."""

from typing import Literal

import torch
from torch import Tensor

Coding = Literal["msra", "unbiased", "udp"]


def target_heatmaps(
    joints: Tensor,
    joint_weights: Tensor,
    input_size: tuple[int, int],
    heatmap_size: tuple[int, int],
    sigma: float = 2.0,
    *,
    coding: Coding = "msra",
) -> tuple[Tensor, Tensor]:
    """Heatmaps `(n, k, height, width)` float32 with a peak of 1 at each joint, and the weights `(n, k)` left.

    joints:        `(n, k, 2)` in crop pixels. joint_weights: `(n, k)`; a map is drawn where it is above 0.5.
    sizes:         (height, width); sigma in heatmap pixels.
    returns:       the weight is 0 where the whole window of ± 3 sigma lies outside the map.

    "msra" centres a window on the nearest pixel (HRNet, arXiv:1902.09212), "unbiased" fills the map about the
    exact point (arXiv:1910.06278), "udp" does so within the window, at stride (input - 1) / (heatmap - 1)
    (arXiv:1911.07524).
    """
    trim = 1 if coding == "udp" else 0
    (in_height, in_width), (height, width) = input_size, heatmap_size
    x = joints[..., 0] * ((width - trim) / (in_width - trim))
    y = joints[..., 1] * ((height - trim) / (in_height - trim))
    columns, in_columns = _profile(x, width, sigma, coding)
    rows, in_rows = _profile(y, height, sigma, coding)
    weights = torch.where(in_columns & in_rows, joint_weights, torch.zeros_like(joint_weights))
    rows = rows * (weights > 0.5).to(rows.dtype)[..., None]
    return rows[..., :, None] * columns[..., None, :], weights


def _profile(position: Tensor, length: int, sigma: float, coding: Coding) -> tuple[Tensor, Tensor]:
    """The Gaussian along one axis, `(n, k, length)` float32, and whether its window meets the map."""
    reach = 3 * sigma
    # Truncated towards zero, not rounded: -0.4 becomes pixel 0, as in the published code.
    pixel = position if coding == "unbiased" else (position + 0.5).trunc()
    peak = pixel if coding == "msra" else position
    grid = torch.arange(length, device=position.device, dtype=position.dtype)
    profile = (-((grid - peak[..., None]) ** 2) / (2 * sigma**2)).exp().float()
    if coding != "unbiased":
        profile = profile * ((grid - pixel[..., None]).abs() <= reach)
    return profile, (pixel - reach < length) & (pixel + reach + 1 >= 0)
