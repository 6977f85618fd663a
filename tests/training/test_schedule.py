"""The learning rate over a run."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrformer.training.schedule import learning_rate
from tests.strategies import quick


@pytest.mark.parametrize(
    ("step", "progress", "expected"),
    [
        (0, 0.0, 0.1),  # the first of ten steps of warm-up
        (4, 0.0, 0.5),
        (9, 0.0, 1.0),
        (100, 0.5, 0.505),  # half-way between 1 and the floor
        (100, 1.0, 0.01),
        (100, 1.3, 0.01),
    ],
)
def test_the_rate_warms_up_and_falls_along_a_cosine(step: int, progress: float, expected: float) -> None:
    assert learning_rate(step, progress, peak=1.0, warmup_steps=10) == pytest.approx(expected)


def test_without_warm_up_a_run_begins_at_the_peak() -> None:
    assert learning_rate(0, 0.0, peak=0.3, warmup_steps=0) == pytest.approx(0.3)


@quick
@given(st.floats(0, 1), st.floats(0, 1))
def test_after_the_warm_up_the_rate_never_rises(one: float, other: float) -> None:
    early, late = (
        learning_rate(99, progress, peak=1.0, warmup_steps=10) for progress in sorted([one, other])
    )

    assert early >= late >= 0.01 - 1e-12
    assert math.isfinite(early)
