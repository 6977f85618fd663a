"""What the rounds of a benchmark say together: medians, since a machine has good and bad minutes."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from service.load.chart import chart

Round = Mapping[str, Any]  # "engine": images/s by batch size; "servers": loads by name


def best(engine: Mapping[Any, float]) -> float:
    """Images a second at the best batch."""
    return max(engine.values())


def sustained(loads: Sequence[Mapping[str, Any]]) -> float:
    """The most that arrived in a closed loop, a second."""
    return max((float(load["good_per_s"]) for load in loads if load["clients"]), default=0.0)


def summary(rounds: Sequence[Round], max_batch: int) -> dict[str, Any]:
    """Of the engine and of each server."""
    engine = median(best(one["engine"]) for one in rounds)
    full = median(one["engine"][max_batch] for one in rounds)
    names = list(dict.fromkeys(name for one in rounds for name in one["servers"]))
    servers = {name: _server(name, rounds) for name in names}
    return {
        "engine_per_s": round(engine, 2),
        "full_batch_ms": round(1000 * max_batch / full, 1),
        "servers": servers,
    }


def table(found: Mapping[str, Any]) -> str:
    """The summary in Markdown."""
    rates = sorted({rate for one in found["servers"].values() for rate in one["p99_ms"]})
    heads = [
        "server",
        "images/s",
        "of the engine",
        "one client p50 ms",
        *(f"p99 ms at {rate:g}/s" for rate in rates),
    ]
    rows = [
        [
            name,
            f"{one['per_s']:.1f}",
            f"{one['efficiency']:.2f}",
            _or_dash(one["alone_p50_ms"]),
            *(_or_dash(one["p99_ms"].get(rate)) for rate in rates),
        ]
        for name, one in found["servers"].items()
    ]
    lines = [heads, ["---"] * len(heads), *rows]
    said = f"engine: {found['engine_per_s']:.1f} images/s; a full batch takes {found['full_batch_ms']:.0f} ms"
    return "\n".join([said, "", *("| " + " | ".join(line) + " |" for line in lines)])


def charts(found: Mapping[str, Any], title: str) -> dict[str, str]:
    """SVG by name: latency, and what arrives, against what is offered."""
    latency = {name: sorted(one["p99_ms"].items()) for name, one in found["servers"].items()}
    arrives = {name: sorted(one["good_per_s"].items()) for name, one in found["servers"].items()}
    offered = sorted({rate for line in arrives.values() for rate, _ in line})
    asked = {"offered": [(rate, rate) for rate in offered]}
    x_name = "images offered per second (Poisson)"
    return {
        "latency": chart(f"{title}: 99th percentile", x_name, "ms from the intended send time", latency),
        "goodput": chart(f"{title}: goodput", x_name, "answers per second", arrives | asked, log_y=False),
    }


def _server(name: str, rounds: Sequence[Round]) -> dict[str, Any]:
    turns = [(best(one["engine"]), one["servers"][name]) for one in rounds if name in one["servers"]]
    rates = [sustained(loads) for _, loads in turns]
    alone = [
        load["latency_ms"]["p50"]
        for _, loads in turns
        for load in loads
        if load["clients"] == 1 and load["latency_ms"]
    ]
    return {
        "per_s": round(median(rates), 2),
        "efficiency": round(median(rate / engine for rate, (engine, _) in zip(rates, turns, strict=True)), 3),
        "alone_p50_ms": round(median(alone), 2) if alone else None,
        "p99_ms": _by_rate(turns, lambda load: load["latency_ms"].get("p99")),
        "good_per_s": _by_rate(turns, lambda load: load["good_per_s"]),
    }


def _by_rate(turns: Sequence[tuple[float, Sequence[Mapping[str, Any]]]], value: Any) -> dict[float, float]:
    """The median over rounds of a value of each open load; loads without one are left out."""
    every: dict[float, list[float]] = {}
    for _, loads in turns:
        for load in loads:
            if load["rate"] is not None and value(load) is not None:
                every.setdefault(load["rate"], []).append(value(load))
    return {rate: round(median(values), 2) for rate, values in every.items()}


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
