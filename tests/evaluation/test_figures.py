"""Figures and their intervals."""

import math

import numpy as np
import pytest

from hrformer.evaluation.figures import Figure, Values, Weights, as_values, intervals, ratio, with_intervals


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    """Of 400 pictures the bootstrap and mean ± 1.96 standard errors differ little."""
    shares = np.random.default_rng(3).uniform(size=400)

    def mean(weights: Weights) -> Values:
        return np.array([weights @ shares / weights.sum()])

    ((low, high),) = intervals(mean, 400)
    error = 1.96 * shares.std() / math.sqrt(400)

    assert (low, high) == pytest.approx((shares.mean() - error, shares.mean() + error), abs=0.1 * error)


def test_intervals_are_the_same_on_every_run() -> None:
    def mean(weights: Weights) -> Values:
        return np.array([weights[:10].sum() / weights.sum()])

    assert np.array_equal(intervals(mean, 30), intervals(mean, 30))


def test_every_draw_has_as_many_pictures_as_the_set() -> None:
    def drawn(weights: Weights) -> Values:
        return np.array([weights.sum()])

    assert intervals(drawn, 7).tolist() == [[7.0, 7.0]]


def test_draws_without_a_value_are_left_out() -> None:
    """A class that only one picture of four shows is missing in a third of the draws."""

    def share(weights: Weights) -> Values:
        return np.array([float(ratio(weights[0], weights[0])), math.nan])

    assert intervals(share, 4).tolist() == [[1.0, 1.0], [pytest.approx(math.nan, nan_ok=True)] * 2]


def test_a_single_picture_says_nothing_of_others() -> None:
    ((low, high),) = intervals(lambda weights: np.array([0.5]), 1)

    assert math.isnan(low)
    assert math.isnan(high)


def test_figures_keep_their_names_and_values() -> None:
    (figure,) = with_intervals([Figure("AP", 0.5, group="coco")], lambda weights: np.array([0.4]), 3)

    assert figure == Figure("AP", 0.5, 0.4, 0.4, "coco")


def test_figures_of_a_group_stand_together() -> None:
    figures = [Figure("mean", 0.5, 0.4, 0.6), Figure("a", 0.1, 0.0, 0.2, "iou"), Figure("b", 1, 1, 1, "iou")]

    assert as_values(figures) == {
        "mean": 0.5,
        "iou": {"a": 0.1, "b": 1},
        "intervals": {"mean": [0.4, 0.6], "iou": {"a": [0.0, 0.2], "b": [1, 1]}},
    }


def test_a_part_of_nothing_has_no_value() -> None:
    found = ratio(np.array([1.0, 0.0, 2.0]), np.array([4.0, 0.0, 0.0]))

    assert found[0] == 0.25
    assert np.isnan(found[1:]).all()
