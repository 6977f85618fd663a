"""From heatmaps to keypoints: the peak, refined below one pixel; mirrored passes turned back and merged."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hrformer.geometry.blur import blur

Refine = Literal["none", "shift", "dark", "udp", "megvii"]
Rules = Literal["hrformer", "mmpose"]
Pairs = Sequence[tuple[int, int]]


def decode_heatmaps(
    heatmaps: Tensor, refine: Refine = "shift", kernel: int = 11, *, rules: Rules = "hrformer"
) -> Tensor:
    """Keypoints at the peaks of the heatmaps.

    heatmaps: `(n, k, height, width)`, any float dtype and device.
    kernel:   width of the Gaussian blur in "dark", "udp" and "megvii", odd.
    returns:  `(n, k, 3)` float32: x and y in heatmap pixels, centre of the top-left pixel at (0, 0); peak
              value. A map without a positive value has its keypoint at (-1, -1).

    "shift" moves a quarter pixel towards the higher neighbour (HRNet, arXiv:1902.09212, section 4.1); "dark"
    is arXiv:1910.06278, "udp" arXiv:1911.07524. "megvii" shifts on the blurred map, by another half pixel,
    and its score is the peak / 255 + 0.5.
    rules: "mmpose" are those of its version 1: "shift" judges the border for each axis alone, and "udp" blurs
    over zeros instead of a mirrored border.
    """
    heatmaps = heatmaps.float()
    maps = blur(heatmaps, kernel) if refine == "megvii" else heatmaps
    x, y, score = _peaks(maps)
    if refine == "shift" or refine == "megvii":
        offset = _quarter_shift(maps, x, y, per_axis=rules == "mmpose")
    elif refine == "dark":
        offset = _dark_step(heatmaps, x, y, kernel)
    elif refine == "udp":
        offset = _udp_step(heatmaps, x, y, kernel, rules)
    else:
        offset = x.new_zeros((*x.shape, 2), dtype=torch.float32)
    points = torch.where((score > 0)[..., None], torch.stack([x, y], dim=-1) + offset, -1.0)
    if refine == "megvii":
        points = points + 0.5 * (_inside(maps, x, y, 1, 1) & (score > 0))[..., None]
        score = score / 255 + 0.5
    return torch.cat([points, score[..., None]], dim=-1)


def heatmap_to_crop(
    keypoints: Tensor, heatmap_size: tuple[int, int], crop_size: tuple[int, int], *, udp: bool = False
) -> Tensor:
    """Keypoints `(..., 2)` or, with a score that is kept, `(..., 3)` in heatmap pixels, in crop pixels.

    Sizes are (height, width). Plain crops multiply by the stride, UDP ones by (crop - 1) / (heatmap - 1).
    """
    trim = 1 if udp else 0
    stride = [(crop_size[axis] - trim) / (heatmap_size[axis] - trim) for axis in (1, 0)]
    return torch.cat([keypoints[..., :2] * keypoints.new_tensor(stride), keypoints[..., 2:]], dim=-1)


def flip_back(heatmaps_of_flipped: Tensor, pairs: Pairs, *, shift: bool = True) -> Tensor:
    """Heatmaps `(n, k, height, width)` of a mirrored crop, as if it had not been mirrored.

    pairs: joints that swap places. shift: move one pixel to the right, the first column keeping its values,
    since the plain crop is not symmetric about its centre; UDP crops are, and must not.
    """
    back = heatmaps_of_flipped[:, mirrored_order(heatmaps_of_flipped.shape[1], pairs)].flip(-1)
    return torch.cat([back[..., :1], back[..., :-1]], dim=-1) if shift else back


def merge_flipped(heatmaps: Tensor, heatmaps_of_flipped: Tensor, pairs: Pairs, shift: bool = True) -> Tensor:
    """The mean of the heatmaps of a crop and of its mirror image."""
    return (heatmaps + flip_back(heatmaps_of_flipped, pairs, shift=shift)) * 0.5


def flip_joints(joints: Tensor, width: int, pairs: Pairs) -> Tensor:
    """Joints `(..., k, 2)` or `(..., k, 3)` in the mirror image of a crop `width` pixels wide."""
    swapped = joints[..., mirrored_order(joints.shape[-2], pairs), :]
    return torch.cat([width - 1 - swapped[..., :1], swapped[..., 1:]], dim=-1)


def mirrored_order(joints: int, pairs: Pairs) -> list[int]:
    """For each joint the index of the one that takes its place in a mirror."""
    order = list(range(joints))
    for left, right in pairs:
        order[left], order[right] = right, left
    return order


def _peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column, row (both int64) and value of each map's maximum, the first in reading order."""
    score, index = heatmaps.flatten(2).max(dim=-1)
    width = heatmaps.shape[-1]
    return index % width, index // width, score


def _around(maps: Tensor, x: Tensor, y: Tensor, reach: int) -> Tensor:
    """`(n, k, 2 * reach + 1, 2 * reach + 1)` values about each point, the edge repeated outside."""
    height, width = maps.shape[-2:]
    steps = torch.arange(-reach, reach + 1, device=maps.device)
    rows = (y[..., None] + steps).clamp(0, height - 1)
    columns = (x[..., None] + steps).clamp(0, width - 1)
    index = rows[..., :, None] * width + columns[..., None, :]
    return maps.flatten(2).gather(2, index.flatten(2)).view(index.shape)


def _inside(maps: Tensor, x: Tensor, y: Tensor, low: int, high: int) -> Tensor:
    """Whether `low < x < width - high`, and the same for y."""
    height, width = maps.shape[-2:]
    return (x > low) & (x < width - high) & (y > low) & (y < height - high)


def _quarter_shift(maps: Tensor, x: Tensor, y: Tensor, per_axis: bool) -> Tensor:
    height, width = maps.shape[-2:]
    near = _around(maps, x, y, 1)
    slope = torch.stack([near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]], dim=-1)
    if per_axis:
        across = (x > 1) & (x < width - 1) & (y > 0)
        along = (y > 1) & (y < height - 1) & (x > 0)
        allowed = torch.stack([across, along], dim=-1)
    else:
        allowed = _inside(maps, x, y, 1, 1)[..., None]
    return slope.sign() * 0.25 * allowed


def _dark_step(heatmaps: Tensor, x: Tensor, y: Tensor, kernel: int) -> Tensor:
    """One Newton step on the logarithm of the blurred map, with differences over two pixels."""
    near = _around(blur(heatmaps, kernel), x, y, 2).clamp(min=1e-10).log()
    dx = (near[..., 2, 3] - near[..., 2, 1]) / 2
    dy = (near[..., 3, 2] - near[..., 1, 2]) / 2
    dxx = (near[..., 2, 4] - 2 * near[..., 2, 2] + near[..., 2, 0]) / 4
    dyy = (near[..., 4, 2] - 2 * near[..., 2, 2] + near[..., 0, 2]) / 4
    dxy = (near[..., 3, 3] - near[..., 1, 3] - near[..., 3, 1] + near[..., 1, 1]) / 4
    return _newton(dx, dy, dxx, dyy, dxy) * _inside(heatmaps, x, y, 1, 2)[..., None]


def _udp_step(heatmaps: Tensor, x: Tensor, y: Tensor, kernel: int, rules: Rules) -> Tensor:
    """One Newton step on the logarithm of the blurred map, with differences over one pixel."""
    zeros = rules == "mmpose"
    blurred = blur(heatmaps, kernel, "zeros" if zeros else "mirror", keep_peak=zeros)
    near = _around(blurred, x, y, 1).clamp(1e-3, 50).log()
    centre, right, left = near[..., 1, 1], near[..., 1, 2], near[..., 1, 0]
    below, above = near[..., 2, 1], near[..., 0, 1]
    dxy = (near[..., 2, 2] - right - below + 2 * centre - left - above + near[..., 0, 0]) / 2
    eps = torch.finfo(torch.float32).eps  # keeps a flat map from dividing by zero
    dxx = right - 2 * centre + left + eps
    dyy = below - 2 * centre + above + eps
    return _newton((right - left) / 2, (below - above) / 2, dxx, dyy, dxy)


def _newton(dx: Tensor, dy: Tensor, dxx: Tensor, dyy: Tensor, dxy: Tensor) -> Tensor:
    """The step `(n, k, 2)` to the extremum of the quadratic; none where there is no single one."""
    determinant = dxx * dyy - dxy * dxy
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], dim=-1) / determinant[..., None]
    return torch.where((determinant != 0)[..., None], step, 0.0)
