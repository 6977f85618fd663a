"""What finding people costs, as the benchmark tells it."""

import json
from pathlib import Path

import pytest

from benchmarks.people import main, summary, table, turns
from hrformer.checkpoints.manifest import MANIFEST, write_entry
from tests.material import ASTRONAUT, people_entry, pose_entry, saved

TIMES_MS = {"found": [30.0, 28.0, 90.0], "given": [20.0, 18.0, 22.0]}
RATES = {"found": {1: [30.0, 10.0, 20.0], 4: [8.0, 9.0, 7.0]}, "given": {1: [40.0], 4: [9.0]}}


def test_figures_are_medians_and_their_ratios() -> None:
    found = summary(TIMES_MS, RATES)

    assert found["latency_ms"] == {"found": 30.0, "given": 20.0}
    assert found["found_over_given"] == 1.5
    assert found["photographs_per_s"] == {"found": {"1": 20.0, "4": 8.0}, "given": {"1": 40.0, "4": 9.0}}
    assert found["several_over_one"] == {"found": 1.6, "given": 0.9}  # 32 people a second to 20, 36 to 40


def test_the_table_has_a_line_for_each_way() -> None:
    assert table(summary(TIMES_MS, RATES)).splitlines()[2:] == [
        "| found | 30.0 | 20.0 | 8.0 | 1.60 |",
        "| given | 20.0 | 40.0 | 9.0 | 0.90 |",
        "",
        "found over given: 1.50",
    ]


def test_every_round_has_all_loads_and_begins_with_another() -> None:
    rounds = [turns(number) for number in range(5)]

    assert len({one[0] for one in rounds}) == 4
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds)
    assert rounds[4] == rounds[0]


def test_without_a_model_for_people_there_is_nothing_to_measure(tmp_path: Path) -> None:
    write_entry(saved(pose_entry("poser"), tmp_path), tmp_path / MANIFEST, default=True)
    with pytest.raises(SystemExit, match="names no default model for people"):
        main(["--weights", str(tmp_path), "--output", str(tmp_path / "runs")])


@pytest.mark.slow
@pytest.mark.parametrize("photo", [[], ["--photo", str(ASTRONAUT)]])
def test_a_whole_run_leaves_figures(
    photo: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in (pose_entry("poser"), people_entry("finder")):
        write_entry(saved(entry, tmp_path), tmp_path / MANIFEST, default=True)
    flags = ["--model", "poser", "--weights", str(tmp_path), "--threads", "1", "--device", "cpu"]
    short = ["--seconds", "0.5", "--rounds", "1", "--clients", "2", "--output", str(tmp_path / "runs")]

    assert main([*flags, *short, *photo]) == 0
    stored = json.loads((tmp_path / "runs" / "people.json").read_text())
    assert stored["about"]["models"] == "poser,finder"
    assert stored["found_over_given"] > 0
    assert min(stored["several_over_one"].values()) > 0
    assert "| found |" in capsys.readouterr().out
