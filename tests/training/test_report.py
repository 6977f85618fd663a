"""What a run tells on the way."""

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from hrformer.training.contact_sheet import CELL_PX, COLUMNS, contact_sheet
from hrformer.training.interrupt import Interrupt
from hrformer.training.progress import Lines, Report, time_left


def test_each_report_is_a_line_of_json(tmp_path: Path) -> None:
    with Report([Lines(tmp_path, appends=False)]) as report:
        report.step(0.5, 10.0, {"step": 1, "loss": 0.25})
        report.figures({"step": 1, "mean_oks": 0.5})

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 0.25}, {"step": 1, "mean_oks": 0.5}]


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    with Report([Lines(tmp_path, appends=False)]) as report:
        report.figures({"iou": float("nan"), "loss": float("inf")})

    assert (tmp_path / "metrics.jsonl").read_text() == '{"iou": null, "loss": null}\n'


@pytest.mark.parametrize(("appends", "expected"), [(True, 2), (False, 1)])
def test_a_resumed_run_adds_to_what_was_told(tmp_path: Path, appends: bool, expected: int) -> None:
    for append in (False, appends):
        with Report([Lines(tmp_path, appends=append)]) as report:
            report.figures({"mean_oks": 0.5})

    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == expected


def test_where_there_is_no_terminal_a_report_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Report() as report:
        report.step(0.25, 1000.0, {"step": 10, "loss": 0.125})

    assert capsys.readouterr().err == " 25.0%  0:50:00 left  step 10  loss 0.125\n"


def test_a_quiet_report_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Report(quiet=True) as report:
        report.step(0.25, 1.0, {"step": 10})
        report.figures({"step": 10, "mean_oks": 0.5})

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("share", "seconds", "expected"),
    [
        (0.0, 5.0, ""),
        (0.5, 90.0, "0:01:30 left"),
        (0.01, 3600.0, "4 days, 3:00:00 left"),
        (1.0, 9.0, "0:00:00 left"),
    ],
)
def test_the_time_left_is_what_the_time_so_far_lets_expect(
    share: float, seconds: float, expected: str
) -> None:
    assert time_left(share, seconds) == expected


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (6, 1, 6), (7, 2, 6), (12, 2, 6)])
def test_a_sheet_has_a_cell_for_each_picture(count: int, rows: int, columns: int) -> None:
    pictures = [np.zeros((30 + 5 * index, 40, 3), np.uint8) for index in range(count)]

    assert COLUMNS == 6
    assert contact_sheet(pictures).shape == (rows * CELL_PX, columns * CELL_PX, 3)


def test_a_picture_fills_its_cell_in_its_own_shape() -> None:
    sheet = contact_sheet([np.zeros((10, 40, 3), np.uint8)])
    dark = (sheet == 0).all(axis=2)

    assert dark.any(axis=0).sum() == CELL_PX
    assert dark.any(axis=1).sum() == CELL_PX // 4


def test_an_interrupt_is_noted() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)

    assert interrupt.asked


def test_on_another_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with Interrupt():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert seen == [before]
