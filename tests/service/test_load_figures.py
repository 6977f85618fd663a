"""Figures of `hrformer-load`: percentiles, and what is counted when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.load.figures import PERMILLE, Fate, Figures, Outcome, figures_of, percentiles
from service.load.report import as_json, latency_chart, table
from service.load.run import Load
from tests.strategies import quick

milliseconds = st.lists(st.floats(0, 1e6), min_size=1, max_size=3000)


@quick
@given(milliseconds)
def test_percentiles_are_those_of_numpy(values: list[float]) -> None:
    """The inverse of the distribution: no value in between is made up."""
    found = percentiles(values)
    for name, permille in PERMILLE.items():
        # numpy multiplies in floats; a hair less keeps it below a step that belongs to the next value
        expected = np.quantile(values, max(permille / 1000 - 1e-12, 0), method="inverted_cdf")
        assert found[name] == expected, name


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles([]) == {}


def good(intended_at: float, ended_at: float, begun_at: float | None = None) -> Outcome:
    return Outcome(Fate.GOOD, "200", intended_at, intended_at if begun_at is None else begun_at, ended_at)


def figures(*outcomes: Outcome) -> Figures:
    """Of ten seconds after a second of warm-up."""
    return figures_of(outcomes, 1.0, 11.0, own_cpu=0.1)


def test_what_was_meant_for_the_warm_up_has_no_time_but_its_answer_counts_when_it_comes() -> None:
    found = figures(good(0.5, 1.5), good(2.0, 2.2))
    assert (found.sent, found.good_per_s) == (1, 0.2)
    assert found.latency_ms["max"] == pytest.approx(200)


def test_an_answer_after_the_end_has_its_time_but_is_no_goodput() -> None:
    found = figures(good(10.9, 14.9))
    assert (found.sent, found.good_per_s) == (1, 0.0)
    assert found.latency_ms["p50"] == pytest.approx(4000)


def test_times_count_from_when_a_request_was_meant_to_be_sent() -> None:
    found = figures(good(2.0, 2.5, begun_at=2.4))
    assert found.latency_ms["p50"] == pytest.approx(500)
    assert found.lag_ms["p50"] == pytest.approx(400)


def test_only_good_answers_have_a_latency_and_refusals_one_of_their_own() -> None:
    refused = Outcome(Fate.REFUSED, "429 overloaded", 3.0, 3.0, 3.001, server_ms=0.4)
    found = figures(good(2.0, 2.1), refused)
    assert found.latency_ms["max"] == pytest.approx(100)
    assert found.refusal_ms["max"] == pytest.approx(1)
    assert found.refusal_server_ms["max"] == 0.4
    assert found.statuses == {"200": 1, "429 overloaded": 1}


def test_the_table_says_what_was_answered_and_when_the_generator_was_late() -> None:
    refused = Outcome(Fate.REFUSED, "429 overloaded", 3.0, 3.0, 3.001, server_ms=0.4)
    text = table([(Load(rate=40.0), figures(good(2.0, 2.5, begun_at=2.4), refused))])
    assert "1 good, 1 refused; answers: 1 × 200, 1 × 429 overloaded; refusals took p99 0.4 ms" in text
    assert "40/s: the generator came late to its own requests" in text


def test_loads_without_an_answer_are_shown_too() -> None:
    results = [(Load(clients=4), figures())]
    assert "4 clients: nothing; answers: none" in table(results)
    assert '"latency_ms": {}' in as_json("http://localhost", results, interrupted=False)
    assert latency_chart(results).startswith("<svg")
