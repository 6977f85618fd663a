"""Boxes of people ↔ maps of their centres and sides; batched, on any device.

Place `(row, column)` of a map stands for the pixel `(4 column, 4 row)` of the input. Boxes here are
`[left, top, right, bottom]` in input px, where pixel centres lie at integers: a box around pixel 0 alone is
from -0.5 to 0.5.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from hrformer.geometry.boxes import iou

STRIDE = 4
CENTRAL = 0.54  # share of the box's sides that its Gaussian spans (TTFNet, arXiv:1909.00700, section 5.1)


class Targets(NamedTuple):
    """What the network should say of each place `(n, h, w)`."""

    heatmaps: Tensor  # float32 0 to 1: 1 at a centre, falling off around it
    ignored: Tensor  # bool: whether somebody is here is not asked
    boxes: Tensor  # (n, 4, h, w): of the person whose middle part covers the place, the smallest of several
    weights: Tensor  # float32: how much of the box's loss this place bears; each box's sum is about 1


def encode_boxes(boxes: Tensor, wanted: Tensor, ignored: Tensor, size: tuple[int, int]) -> Targets:
    """Targets of boxes `(n, k, 4)`.

    wanted: `(n, k)` bool, people to be found. ignored: `(n, k)` bool, regions of which nothing is asked; rows
            that are neither are empty. size: (height, width) of the input, multiples of 4.
    A person's Gaussian is an ellipse as its box, cut at `CENTRAL` of its sides (TTFNet, arXiv:1909.00700).
    """
    height, width = size[0] // STRIDE, size[1] // STRIDE
    columns, across = _profile(boxes[..., 0], boxes[..., 2], width)
    rows, down = _profile(boxes[..., 1], boxes[..., 3], height)
    gaussians = rows[..., :, None] * columns[..., None, :] * wanted[..., None, None]  # (n, k, h, w)
    covered = (down[..., :, None] & across[..., None, :]) & ignored[..., None, None]
    heatmaps = gaussians.amax(dim=1)
    chosen, owned = _owners(boxes, gaussians)
    share = gaussians * owned
    share = share / share.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    places = chosen.flatten(1)[:, None].expand(-1, 4, -1)
    return Targets(
        heatmaps=heatmaps,
        ignored=covered.any(dim=1) & (heatmaps < 1),
        boxes=boxes.transpose(1, 2).gather(2, places).reshape(-1, 4, height, width),
        weights=share.sum(dim=1),
    )


def boxes_at_places(sides: Tensor) -> Tensor:
    """Boxes `(n, 4, h, w)` from distances `(n, 4, h, w)` to left, top, right and bottom, in px."""
    height, width = sides.shape[2:]
    x = STRIDE * torch.arange(width, device=sides.device, dtype=sides.dtype).expand(height, width)
    y = STRIDE * torch.arange(height, device=sides.device, dtype=sides.dtype)[:, None].expand(height, width)
    return torch.stack([x - sides[:, 0], y - sides[:, 1], x + sides[:, 2], y + sides[:, 3]], dim=1)


def decode_boxes(
    centres: Tensor, sides: Tensor, *, limit: int = 100, overlap: float = 0.6
) -> tuple[Tensor, Tensor]:
    """Boxes `(n, limit, 4)` and scores `(n, limit)` in 0..1 of the people found, best first.

    centres: logits `(n, h, w)`; sides: `(n, 4, h, w)`. Peaks are places no lower than their eight neighbours
    (CenterNet, arXiv:1904.07850). A box that overlaps a better one that is kept with an IoU above `overlap`
    scores 0, as do the rows for which there is no peak.
    """
    scores = centres.float().sigmoid()
    around = torch.nn.functional.max_pool2d(scores[:, None], 3, stride=1, padding=1)[:, 0]
    peaks = torch.where(scores == around, scores, 0).flatten(1)
    best, places = peaks.topk(min(limit, peaks.shape[1]), dim=1)
    boxes = boxes_at_places(sides.float()).flatten(2)
    boxes = boxes.gather(2, places[:, None].expand(-1, 4, -1)).transpose(1, 2)
    return boxes, best * suppress(boxes, overlap)


def mirrored_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes `(…, 4)` of pictures so wide, as they lie in the mirrored pictures."""
    left, top, right, bottom = boxes.unbind(dim=-1)
    return torch.stack([width - 1 - right, top, width - 1 - left, bottom], dim=-1)


def merge_looks(one: Tensor, other: Tensor, *, alike: float = 0.5, overlap: float = 0.6) -> Tensor:
    """What two looks at the same pictures found, as one: boxes and scores `(n, k, 5)`, best first.

    Two boxes are of one person if each is the nearest to the other, with an IoU above `alike`: that person
    has their mean, weighted by the scores, and the mean score. Who is found by one look alone keeps their box
    and half the score (weighted boxes fusion, arXiv:1910.13302). What overlaps a better one by more than
    `overlap` scores 0, as do the rows where there is nobody.
    """
    shared = torch.stack([iou(*pair) for pair in zip(one[..., :4], other[..., :4], strict=True)])
    shared = shared * ((one[:, :, None, 4] > 0) & (other[:, None, :, 4] > 0))
    nearest, back = shared.argmax(dim=2), shared.argmax(dim=1)
    of_one = _agree(nearest, back) & (shared.amax(dim=2) > alike)
    of_other = _agree(back, nearest) & (shared.amax(dim=1) > alike)
    same = other.gather(1, nearest[..., None].expand_as(one))
    weight = same[..., 4:] / (one[..., 4:] + same[..., 4:]).clamp(min=1e-6)
    mean = torch.cat([torch.lerp(one[..., :4], same[..., :4], weight), (one + same)[..., 4:] / 2], dim=2)
    halved = one.new_tensor([1.0, 1, 1, 1, 0.5])
    rows = torch.where(of_one[..., None], mean, one * halved)
    rows = torch.cat([rows, torch.where(of_other[..., None], 0.0, other * halved)], dim=1)
    best, order = rows[..., 4].topk(one.shape[1], dim=1)
    boxes = rows[..., :4].gather(1, order[..., None].expand(-1, -1, 4))
    return torch.cat([boxes, (best * suppress(boxes, overlap))[..., None]], dim=2)


def _agree(there: Tensor, back: Tensor) -> Tensor:
    """Of which places `(n, k)` the way there and back ends where it began."""
    return back.gather(1, there) == torch.arange(there.shape[1], device=there.device)


def suppress(boxes: Tensor, overlap: float) -> Tensor:
    """Which of the boxes `(n, k, 4)`, best first, stay `(n, k)`: no better one that stays overlaps them more.

    Every round settles at least one box more of each picture, and most often nearly all of them: it ends when
    nothing changes, with what going through them one by one gives.
    """
    alike = torch.stack([iou(row, row) for row in boxes]) > overlap
    by_better = alike.tril(diagonal=-1)  # (n, worse, better)
    stays = torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    while True:
        after = ~(by_better & stays[:, None]).any(dim=2)
        if torch.equal(after, stays):
            return stays
        stays = after


def _profile(low: Tensor, high: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Along one axis `(n, k, length)`: the Gaussian of the middle part, and the places within the box."""
    grid = torch.arange(length, device=low.device, dtype=low.dtype)
    peak = ((low + high) / (2 * STRIDE)).round().clamp(0, length - 1)[..., None]
    radius = (CENTRAL * (high - low) / (2 * STRIDE)).floor()[..., None]
    sigma = (2 * radius + 1) / 6
    distance = grid - peak
    gaussian = (-(distance**2) / (2 * sigma**2)).exp() * (distance.abs() <= radius)
    within = (STRIDE * grid >= low[..., None]) & (STRIDE * grid <= high[..., None])
    return gaussian, within


def _owners(boxes: Tensor, gaussians: Tensor) -> tuple[Tensor, Tensor]:
    """For each place the box `(n, h, w)` that it is to tell; and whose it is, `(n, k, h, w)` bool."""
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)[..., None, None]
    sizes = torch.where(gaussians > 0, areas, torch.inf)
    chosen = sizes.argmin(dim=1)
    indices = torch.arange(boxes.shape[1], device=boxes.device)[:, None, None]
    return chosen, (indices == chosen[:, None]) & (gaussians > 0)
