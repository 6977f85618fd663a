"""How often a key may ask, on a clock of our own."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.problems import Problem
from service.rates import Rates


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def taken(rates: Rates, name: str = "key") -> bool:
    try:
        rates.take(name)
    except Problem:
        return False
    return True


def test_a_burst_is_taken_and_no_more() -> None:
    rates = Rates(per_s=1, burst=3, clock=Clock())
    assert [taken(rates) for _ in range(5)] == [True, True, True, False, False]


def test_a_token_comes_back_after_its_time() -> None:
    clock = Clock()
    rates = Rates(per_s=4, burst=1, clock=clock)
    assert taken(rates)
    clock.now = 0.125
    assert not taken(rates)
    clock.now = 0.25
    assert taken(rates)


def test_a_long_pause_gives_a_burst_and_no_more() -> None:
    clock = Clock()
    rates = Rates(per_s=10, burst=2, clock=clock)
    assert taken(rates)
    clock.now = 1e6
    assert [taken(rates) for _ in range(3)] == [True, True, False]


def test_keys_do_not_use_up_each_others_tokens() -> None:
    rates = Rates(per_s=1, burst=1, clock=Clock())
    assert [taken(rates, name) for name in ("one", "other", "one")] == [True, True, False]


@pytest.mark.parametrize(("per_s", "retry_after"), [(1000.0, "1"), (1.0, "1"), (0.4, "3"), (0.01, "100")])
def test_a_refusal_tells_when_there_is_a_token(per_s: float, retry_after: str) -> None:
    rates = Rates(per_s, burst=1, clock=Clock())
    rates.take("key")
    with pytest.raises(Problem) as refused:
        rates.take("key")
    assert refused.value.headers == {"Retry-After": retry_after}


@given(
    per_s=st.integers(1, 64),
    burst=st.integers(1, 20),
    pauses=st.lists(st.integers(0, 64).map(lambda ticks: ticks / 64), max_size=60),
)
def test_nobody_gets_more_than_the_burst_and_the_rate_allow(
    per_s: int, burst: int, pauses: list[float]
) -> None:
    clock = Clock()
    rates = Rates(per_s, burst, clock)
    count = 0
    for pause in pauses:
        clock.now += pause
        count += taken(rates)
    assert count <= burst + clock.now * per_s
