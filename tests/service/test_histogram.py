import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Known
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from service.histogram import Histogram
from tests.strategies import quick

BOUNDS = (0.001, 0.5, 1.0, 8.0)


def histogram(registry: CollectorRegistry) -> Histogram:
    return Histogram("wait_seconds", "Time", ("model", "stage"), bounds=BOUNDS, registry=registry)


@quick
@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 20)), max_size=20))
def test_the_page_is_that_of_the_library(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    known = Known("wait_seconds", "Time", ("model", "stage"), buckets=BOUNDS, registry=theirs)
    series, their_series = histogram(ours)("pose", "decode"), known.labels("pose", "decode")
    for value in values:
        series.observe(value)
        their_series.observe(value)

    without_times = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == without_times


def test_an_exemplar_is_shown_at_its_bucket() -> None:
    registry = CollectorRegistry()
    series = histogram(registry)("pose", "decode")
    series.observe(0.3, {"trace_id": "abc"})
    series.observe(0.4)

    (line,) = [line for line in openmetrics(registry).decode().splitlines() if "trace_id" in line]
    assert 'le="0.5"' in line
    assert '# {trace_id="abc"} 0.3' in line


def test_a_series_begins_at_zero_when_it_is_named() -> None:
    registry = CollectorRegistry()
    histogram(registry)("pose", "decode")

    assert registry.get_sample_value("wait_seconds_count", {"model": "pose", "stage": "decode"}) == 0


def test_a_name_is_taken_once() -> None:
    registry = CollectorRegistry()
    histogram(registry)

    with pytest.raises(ValueError, match="wait_seconds"):
        histogram(registry)


def test_labels_must_be_those_of_the_instrument() -> None:
    with pytest.raises(ValueError, match="'model', 'stage'"):
        histogram(CollectorRegistry())("pose")
