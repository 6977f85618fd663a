"""The learning rate over a run."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrformer.training.schedule import learning_rate
from tests.strategies import quick
from tests.training.small_runs import pose_recipe


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
    recipe = pose_recipe(learning_rate=1.0, warmup_steps=10)

    assert learning_rate(recipe, step, progress) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("step", "epoch", "expected"),
    [
        (0, 0, 1e-4),
        (99, 0.5, 1e-3),
        (9999, 169, 1e-3),
        (9999, 170, 1e-4),
        (9999, 199, 1e-4),
        (9999, 200, 1e-5),
    ],
)
def test_the_rate_falls_in_steps_as_the_paper_has_it(step: int, epoch: float, expected: float) -> None:
    recipe = pose_recipe(learning_rate=1e-3, warmup_steps=10, schedule="step")  # 210 epochs

    assert learning_rate(recipe, step, epoch / 210) == pytest.approx(expected)


def test_without_warm_up_a_run_begins_at_the_peak() -> None:
    assert learning_rate(pose_recipe(learning_rate=0.3, warmup_steps=0), 0, 0.0) == pytest.approx(0.3)


@quick
@given(st.sampled_from(["cosine", "step"]), st.floats(0, 1), st.floats(0, 1))
def test_after_the_warm_up_the_rate_never_rises(schedule: str, one: float, other: float) -> None:
    recipe = pose_recipe(learning_rate=1.0, warmup_steps=10, schedule=schedule)
    early, late = (learning_rate(recipe, 99, progress) for progress in sorted([one, other]))

    assert early >= late >= 0.01 - 1e-12
    assert math.isfinite(early)
