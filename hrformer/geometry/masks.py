"""From class logits to a class map at image size; its areas, and its regions as COCO run lengths."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Window = tuple[float, float, float, float]  # top, left, height, width
_VALUES_AT_ONCE = 1_000_000  # logits at the picture's size that may be held: 4 MB, some three times
_UNDECIDED = 256  # no class: there are at most 256


def class_map(logits: Tensor, height: int, width: int, *, window: Window | None = None) -> Tensor:
    """The likeliest class of every pixel, `(height, width)` uint8; the first of equals.

    logits: `(classes, h, w)` float; at most 256 classes. Bilinear, between pixel centres.
    window: the part of the logits, in their own pixels from the top-left corner, that the picture covers;
            default all.
    Where the four logits around a pixel have the same likeliest class, so has every mean of them; only the
    pixels between classes are interpolated, some at a time, so that memory does not grow with the picture.
    """
    top, left, high, wide = window or (0.0, 0.0, float(logits.shape[1]), float(logits.shape[2]))
    rows, down = (line.to(logits.device) for line in _sources(top, high, logits.shape[1], height))
    columns, across = (line.to(logits.device) for line in _sources(left, wide, logits.shape[2], width))
    decided = _decided(logits).index_select(1, columns)  # (h, width)
    planes = logits.float().contiguous()
    answer = decided.to(torch.uint8).index_select(0, rows)
    # The pixels of a column between two rows of logits, a stack, have the same four logits around them.
    heights = torch.bincount(rows, minlength=logits.shape[1])
    first = heights.cumsum(0) - heights  # pixel of the stacks under each row of logits
    stacks = ((decided == _UNDECIDED) & (heights > 0)[:, None]).nonzero()
    within = torch.arange(int(heights.max()), device=logits.device)[:, None]
    for row, column in _at_a_time(stacks, len(logits) * len(within)):
        y = first[row] + torch.minimum(within, heights[row] - 1)  # the last pixel again in lower stacks
        ends = (_along(planes, end, columns[column], across[column]) for end in (row, row + 1))
        upper, lower = (end[:, None] for end in ends)
        answer.view(-1)[y * width + column] = _likeliest(torch.lerp(upper, lower, down[y]))
    return answer


def _decided(logits: Tensor) -> Tensor:
    """The likeliest class between each logit and its right and lower neighbours, `(h, w)` int16, where they
    agree, else `_UNDECIDED`.
    """
    likeliest = _likeliest(logits).to(torch.int16)
    decided = likeliest.clone()
    decided[:, :-1][likeliest[:, :-1] != likeliest[:, 1:]] = _UNDECIDED
    upper = decided.clone()
    decided[:-1][upper[:-1] != upper[1:]] = _UNDECIDED
    return decided


def _likeliest(logits: Tensor) -> Tensor:
    """Index of the largest of `(classes, …)`, uint8; the first of equals, five times as fast as argmax."""
    classes = torch.arange(len(logits), dtype=torch.uint8, device=logits.device)
    is_less = (logits < logits.amax(dim=0)).view(torch.uint8)
    return is_less.mul_(255).bitwise_or_(classes.view(-1, *[1] * (logits.ndim - 1))).amin(dim=0)


def _at_a_time(stacks: Tensor, values: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of `(n, 2)`, of as many stacks as may be computed at once, `values` for each."""
    for part in torch.split(stacks, max(1, _VALUES_AT_ONCE // values)):
        yield part[:, 0], part[:, 1]


def _along(planes: Tensor, row: Tensor, column: Tensor, weight: Tensor) -> Tensor:
    """Logits `(classes, n)` in a row, below the last one as in it, between a column and the next one."""
    height, width = planes.shape[1:]
    start = row.clamp(max=height - 1) * width
    flat = planes.flatten(1)
    left, right = (flat.index_select(1, start + of.clamp(max=width - 1)) for of in (column, column + 1))
    return torch.lerp(left, right, weight)


def figure_first(logits: Tensor, background: int, probability: float = 0.5) -> Tensor:
    """The logits, the background moved to where it wins if the rest together have less than `probability`.

    logits: `(classes, h, w)`. Which of the other classes is the likeliest stays as it is. A model that has
    learned of many figures without their parts spreads what it knows over the parts: none of them may beat
    the background where a figure is certain. For the largest expected IoU the probability is IoU / (1 + IoU),
    half or less: a pixel that is missed costs more than one that is too many (arXiv:1402.1892, for F1).
    """
    others = torch.cat([logits[:background], logits[background + 1 :]])
    lead = others.logsumexp(dim=0) - others.amax(dim=0)
    moved = logits.clone()
    moved[background] += math.log(probability / (1 - probability)) - lead
    return moved


def class_areas(class_map: Tensor, classes: int) -> list[int]:
    """Pixels of each class of a class map, in the order of the classes."""
    areas: list[int] = torch.bincount(class_map.flatten(), minlength=classes)[:classes].tolist()
    return areas


def run_lengths(mask: Tensor) -> dict[str, list[int] | str]:
    """COCO's compressed run lengths of a `(height, width)` bool mask, `{"size": […], "counts": "…"}`.

    Runs go down the columns and begin with a run of zeros, which may be empty.
    """
    height, width = mask.shape
    pixels = mask.cpu().numpy().astype(bool).ravel(order="F")
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    counts = np.diff(np.concatenate([[0], changes, [pixels.size]]))
    return {"size": [height, width], "counts": _compress(counts.astype(np.int64))}


def _compress(counts: npt.NDArray[np.int64]) -> str:
    """COCO's text for run lengths: 5 bits a character, of differences to the last but one."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    groups = []
    pending = np.ones(len(values), dtype=bool)
    while pending.any():
        low = values & 31
        values = values >> 5
        # Done once what is left only repeats the sign bit of the character just written.
        more = np.where(low & 16, values != -1, values != 0)
        groups.append(np.where(pending, low + 32 * more + 48, 0))
        pending &= more
    characters = np.stack(groups, axis=1).ravel() if groups else np.empty(0, dtype=np.int64)
    return characters[characters > 0].astype(np.uint8).tobytes().decode("ascii")


def _sources(start: float, extent: float, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    """For each output line: the last input line at or before its centre, and the weight of the next one."""
    steps = torch.arange(outputs, dtype=torch.float64)
    position = (start + (steps + 0.5) * (extent / outputs) - 0.5).clamp(0, inputs - 1)
    before = position.floor()
    return before.long(), (position - before).float()
