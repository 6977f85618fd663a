"""Figures for a reader: a line while it runs, a table, a picture; and for a program: JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

from service.load.chart import chart
from service.load.figures import PERMILLE, Fate, Figures, percentiles
from service.load.run import Load, Run

LATE_MS = 5.0  # lag of the generator that is more than its timer's
BUSY = 0.8  # of a core that the generator takes

Result = tuple[Load, Figures]


def progress(run: Run, since: int) -> str:
    """One line on the outcomes from that number on."""
    latest = list(islice(run.outcomes, since, None))
    fates = Counter(one.fate for one in latest)
    found = percentiles([one.latency_ms for one in latest if one.fate is Fate.GOOD])
    counts = ", ".join(f"{fates[fate]} {fate}" for fate in Fate if fates[fate])
    times = ", ".join(f"{name} {found[name]:.0f} ms" for name in ("p50", "p99") if found)
    waiting = run.sent - len(run.outcomes)
    return f"{run.load.name}: {counts or 'no answer yet'}; {times or 'no times'}; {waiting} under way"


def table(results: Sequence[Result]) -> str:
    """A row for each load, then what was answered, then what to mind."""
    heads = ["load", "sent/s", "good/s", *(f"{name} ms" for name in PERMILLE), "lag p99 ms", "own CPU"]
    rows = [_row(load, figures) for load, figures in results]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in [heads, *rows]]
    return "\n".join([*lines, "", *(_answers(*result) for result in results), *_warnings(results)])


def as_json(url: str, results: Sequence[Result], *, interrupted: bool) -> str:
    """All figures, for a program."""
    loads = [
        {"rate": load.rate, "clients": load.clients, "burst": load.burst} | figures.as_json()
        for load, figures in results
    ]
    return json.dumps({"url": url, "interrupted": interrupted, "loads": loads}, indent=2)


def latency_chart(results: Sequence[Result]) -> str:
    """SVG: how long good answers take under each load."""
    x_name = "requests sent per second" if results[0][0].rate is not None else "clients"
    lines = {
        name: [
            (load.rate or load.clients or 0, figures.latency_ms[name])
            for load, figures in results
            if figures.latency_ms
        ]
        for name in PERMILLE
        if name != "max"
    }
    return chart("Latency against load", x_name, "ms from when it was meant to be sent to the answer", lines)


def _row(load: Load, figures: Figures) -> list[str]:
    times = [_ms(figures.latency_ms, name) for name in PERMILLE]
    rates = [f"{figures.sent_per_s:.1f}", f"{figures.good_per_s:.1f}"]
    return [load.name, *rates, *times, _ms(figures.lag_ms, "p99"), f"{figures.own_cpu:.0%}"]


def _answers(load: Load, figures: Figures) -> str:
    fates = ", ".join(f"{figures.fates[fate]} {fate}" for fate in Fate if fate in figures.fates)
    statuses = ", ".join(f"{count} × {status}" for status, count in figures.statuses.items())
    line = f"{load.name}: {fates or 'nothing'}; answers: {statuses or 'none'}"
    if figures.refusal_server_ms:
        line += f"; refusals took p99 {figures.refusal_server_ms['p99']:.1f} ms of the service's time"
    return line


def _warnings(results: Sequence[Result]) -> list[str]:
    lines = []
    for load, figures in results:
        lag_ms = figures.lag_ms.get("p99", 0.0)
        if lag_ms > LATE_MS:
            late = "the generator came late to its own requests, which is in the times above"
            lines.append(f"{load.name}: {late}: p99 {lag_ms:.1f} ms")
        if figures.own_cpu > BUSY:
            lines.append(f"{load.name}: the generator itself took {figures.own_cpu:.0%} of a core")
    return ["", *lines] if lines else []


def _ms(times: Mapping[str, float], name: str) -> str:
    return f"{times[name]:.1f}" if name in times else "–"
