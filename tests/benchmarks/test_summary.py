"""What a benchmark says of its rounds, against figures worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.resident import batch_sizes
from benchmarks.service import main
from benchmarks.summary import charts, summary, table

ENGINES = ({1: 50.0, 4: 100.0}, {1: 50.0, 4: 200.0}, {1: 50.0, 4: 160.0})


def load(
    good_per_s: float, *, clients: int | None = None, rate: float | None = None, p99: float = 0
) -> dict[str, Any]:
    times = {"p50": p99 / 2, "p99": p99} if p99 else {}
    return {"clients": clients, "rate": rate, "good_per_s": good_per_s, "latency_ms": times}


def rounds() -> list[dict[str, Any]]:
    """Three, of which the second has a good minute."""
    ours = [
        [load(20, clients=1, p99=40), load(goodput, clients=32, p99=300), load(70, rate=70.0, p99=p99)]
        for goodput, p99 in ((95, 120), (180, 80), (120, 100))
    ]
    others = [[load(50, clients=32, p99=900), load(50, rate=70.0)] for _ in ours]
    return [
        {"engine": engine, "servers": {"ours": mine, "other": other}}
        for engine, mine, other in zip(ENGINES, ours, others, strict=True)
    ]


def test_figures_are_medians_over_rounds() -> None:
    """95, 180 and 120 images/s are 0.95, 0.9 and 0.75 of the engine in the same round."""
    found = summary(rounds(), 4)
    ours = found["servers"]["ours"]
    assert (found["engine_per_s"], found["full_batch_ms"]) == (160, 25)
    assert (ours["per_s"], ours["efficiency"]) == (120, 0.9)
    assert (ours["alone_p50_ms"], ours["p99_ms"]) == (20, {70.0: 100})


def test_a_server_that_answers_nothing_in_time_has_no_latency() -> None:
    other = summary(rounds(), 4)["servers"]["other"]
    assert (other["p99_ms"], other["good_per_s"], other["alone_p50_ms"]) == ({}, {70.0: 50}, None)
    assert "| other | 50.0 | 0.31 | – | – |" in table(summary(rounds(), 4))


def test_a_server_that_failed_in_one_round_has_the_figures_of_the_others() -> None:
    some = rounds()
    del some[0]["servers"]["ours"]
    assert summary(some, 4)["servers"]["ours"]["per_s"] == 150


def test_pictures_have_a_line_for_each_server() -> None:
    drawn = charts(summary(rounds(), 4), "tiny")
    assert drawn["goodput"].count("<polyline") == 3  # with what was offered
    assert drawn["latency"].count("<polyline") == 1


@pytest.mark.parametrize(
    ("largest", "at_once", "sizes"),
    [(1, 1, [1]), (4, 1, [1, 2, 4]), (12, 1, [1, 2, 4, 8, 12]), (4, 2, [1, 2, 4, 8]), (4, 3, [1, 2, 4, 12])],
)
def test_the_engine_is_measured_at_powers_of_two_and_as_large_as_a_server_can_use(
    largest: int, at_once: int, sizes: list[int]
) -> None:
    assert batch_sizes(largest, at_once) == sizes


@pytest.mark.slow
def test_a_whole_run_leaves_figures_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--rounds", "1", "--seconds", "1", "--shares", "0.3", "--clients", "1", "4", "--threads", "1"]
    assert (
        main([*flags, "--device", "cpu", "--only", "HRFormer", "plain FastAPI", "--output", str(tmp_path)])
        == 0
    )
    found = json.loads((tmp_path / "service-pose.json").read_text())
    assert found["summary"]["servers"].keys() == {"HRFormer", "plain FastAPI"}
    assert (tmp_path / "service-pose-latency.svg").exists()
    assert "| HRFormer |" in capsys.readouterr().out
