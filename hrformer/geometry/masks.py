"""From class logits to a class map at image size; its areas, and its regions as COCO run lengths."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Window = tuple[float, float, float, float]  # top, left, height, width
_STRIP_VALUES = 4_000_000  # logits held at image width at a time: 16 MB


def class_map(logits: Tensor, height: int, width: int, *, window: Window | None = None) -> Tensor:
    """The likeliest class of every pixel, `(height, width)` uint8; the first of equals.

    logits: `(classes, h, w)` float; at most 256 classes. Bilinear, between pixel centres.
    window: the part of the logits, in their own pixels from the top-left corner, that the picture covers;
            default all.
    Works through the picture in strips, so that memory does not grow with classes times pixels.
    """
    top, left, high, wide = window or (0.0, 0.0, float(logits.shape[1]), float(logits.shape[2]))
    answer = torch.empty((height, width), dtype=torch.uint8, device=logits.device)
    rows, weights = _sources(top, high, logits.shape[1], height)
    columns, across = (line.to(logits.device) for line in _sources(left, wide, logits.shape[2], width))
    following = (columns + 1).clamp(max=logits.shape[2] - 1)
    weights = weights.to(logits.device)
    rows_per_strip = max(1, _STRIP_VALUES // (len(logits) * width))
    for start, stop in _strips(rows.tolist(), rows_per_strip):
        row = int(rows[start])
        pair = logits[:, [row, min(row + 1, logits.shape[1] - 1)]].float()  # (classes, 2, w)
        pair = torch.lerp(pair[..., columns], pair[..., following], across)  # (classes, 2, width)
        strip = torch.lerp(pair[:, :1], pair[:, 1:], weights[start:stop, None])  # (classes, rows, width)
        answer[start:stop] = strip.max(dim=0).indices  # four times as fast as argmax across planes
    return answer


def figure_first(logits: Tensor, background: int, probability: float = 0.5) -> Tensor:
    """The logits with the background moved to where it wins if the rest together have less than `probability`.

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


def _strips(rows: list[int], limit: int) -> list[tuple[int, int]]:
    """Ranges of output rows that lie between the same two input rows, none longer than `limit`."""
    edges = [0]
    for index in range(1, len(rows)):
        if rows[index] != rows[index - 1] or index - edges[-1] == limit:
            edges.append(index)
    return list(zip(edges, [*edges[1:], len(rows)], strict=True))
