"""Arrivals that `hrformer-load` makes: their rate, their gaps, their bursts."""

import random
from itertools import groupby, islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.load.arrivals import arrivals
from tests.strategies import quick, seeds

COUNT = 4000
rates = st.floats(0.1, 5000)
bursts = st.integers(1, 50)


def times(rate: float, seed: int, burst: int = 1, count: int = COUNT) -> list[float]:
    return list(islice(arrivals(rate, random.Random(seed), burst=burst), count))


@quick
@given(rates, seeds(), st.sampled_from((1, 4, 20)))
def test_so_many_arrive_in_a_second_in_the_long_run(rate: float, seed: int, burst: int) -> None:
    """The time of n bursts has the mean n·burst/rate and a deviation of 1/√n of it."""
    every = times(rate, seed, burst)
    assert abs(every[-1] * rate / COUNT - 1) < 5 / (COUNT / burst) ** 0.5


@quick
@given(rates, seeds())
def test_gaps_are_exponential(rate: float, seed: int) -> None:
    """Their deviation is their mean, and e⁻¹ of them are longer than it."""
    gaps = np.diff(times(rate, seed)) * rate
    assert abs(gaps.std() - 1) < 0.15
    assert abs((gaps > 1).mean() - np.exp(-1)) < 0.05


@quick
@given(rates, seeds(), bursts)
def test_a_burst_is_so_many_at_the_same_instant(rate: float, seed: int, burst: int) -> None:
    every = times(rate, seed, burst, count=20 * burst)
    assert [len(list(together)) for _, together in groupby(every)] == [burst] * 20


@quick
@given(rates, seeds(), bursts)
def test_the_same_seed_gives_the_same_times_in_order(rate: float, seed: int, burst: int) -> None:
    every = times(rate, seed, burst, count=100)
    assert every == sorted(times(rate, seed, burst, count=100))
    assert every != times(rate, seed + 1, burst, count=100)
