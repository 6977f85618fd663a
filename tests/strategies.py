"""Hypothesis strategies that tests share: sizes, boxes, poses, heatmaps, masks."""

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

# The first call of a torch function can take longer than any deadline that would mean something.
quick = settings(max_examples=40, deadline=None)


def sizes(smallest: int = 1, largest: int = 64) -> st.SearchStrategy[tuple[int, int]]:
    """(height, width) in pixels."""
    side = st.integers(smallest, largest)
    return st.tuples(side, side)


def boxes(count: int = 4, side_px: float = 1000) -> st.SearchStrategy[Tensor]:
    """`(count, 4)` float64 xywh boxes of at least 1 px, some of which leave an image of `side_px`."""
    place, length = st.floats(-0.2 * side_px, side_px), st.floats(1, side_px)
    box = st.tuples(place, place, length, length)
    return st.lists(box, min_size=count, max_size=count).map(
        lambda rows: torch.tensor(rows, dtype=torch.float64)
    )


def points(count: int = 5, side_px: float = 1000) -> st.SearchStrategy[Tensor]:
    """`(count, 2)` float64 points, x and y in -side_px..side_px."""
    point = st.tuples(st.floats(-side_px, side_px), st.floats(-side_px, side_px))
    return st.lists(point, min_size=count, max_size=count).map(
        lambda rows: torch.tensor(rows, dtype=torch.float64)
    )


def people(largest: int = 8, joints: int = 17) -> st.SearchStrategy[Tensor]:
    """`(n, joints, 3)` float64 poses of 1 to `largest` people, about a hundred pixels tall: x, y, score."""
    return st.builds(_random_people, seeds(), st.integers(1, largest), st.just(joints))


def logits(classes: int = 5, largest: int = 12) -> st.SearchStrategy[Tensor]:
    """`(classes, h, w)` float32 normal values."""
    return st.builds(
        lambda seed, size: torch.randn(classes, *size, generator=generator(seed)), seeds(), sizes(1, largest)
    )


def masks(largest: int = 40) -> st.SearchStrategy[np.ndarray]:
    """`(height, width)` bool arrays."""
    return arrays.arrays(np.bool_, sizes(1, largest))


def seeds() -> st.SearchStrategy[int]:
    """Seeds of `generator`."""
    return st.integers(0, 2**31 - 1)


def generator(seed: int) -> torch.Generator:
    """Torch's random numbers from a seed."""
    return torch.Generator().manual_seed(seed)


def _random_people(seed: int, count: int, joints: int) -> Tensor:
    random = generator(seed)
    centre = torch.rand(count, 1, 2, generator=random, dtype=torch.float64) * 200
    body = torch.randn(1, joints, 2, generator=random, dtype=torch.float64) * 30
    jitter = torch.randn(count, joints, 2, generator=random, dtype=torch.float64) * 3
    scores = torch.rand(count, joints, 1, generator=random, dtype=torch.float64)
    return torch.cat([centre + body + jitter, scores], dim=-1)
