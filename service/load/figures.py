"""What became of the requests, counted and as percentiles."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from service.client.connection import Answer

PERMILLE: Mapping[str, int] = {"p50": 500, "p90": 900, "p99": 990, "p99.9": 999, "max": 1000}


class Fate(StrEnum):
    """How a request ended."""

    GOOD = "good"  # the answer, in time
    LATE = "late"  # no answer in the time that the client allows, or 504
    REFUSED = "refused"  # 429 or 503
    INVALID = "invalid"  # a wrong request that was answered as such
    LEFT = "left"  # a client that left before its answer
    FAILED = "failed"  # no connection, or one that broke
    UNEXPECTED = "unexpected"  # any other answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request; times in seconds by the event loop's clock."""

    fate: Fate
    status: str  # `200`, `429 overloaded`, or nothing
    intended_at: float
    begun_at: float  # when the generator came round to it
    ended_at: float
    server_ms: float | None = None  # by the service's own clock

    @classmethod
    def of(
        cls, fate: Fate, answer: Answer | None, intended_at: float, begun_at: float, ended_at: float
    ) -> "Outcome":
        if answer is None:
            return cls(fate, "", intended_at, begun_at, ended_at)
        status = f"{answer.status} {answer.problem}".rstrip()
        return cls(fate, status, intended_at, begun_at, ended_at, answer.server_ms)

    @property
    def latency_ms(self) -> float:
        return 1000 * (self.ended_at - self.intended_at)

    @property
    def lag_ms(self) -> float:
        return 1000 * (self.begun_at - self.intended_at)


@dataclass(frozen=True)
class Figures:
    """What a load met. Percentiles are in ms: the smallest value that so many of all do not exceed."""

    seconds: float  # measured
    sent: int  # in this time
    sent_per_s: float
    good_per_s: float  # goodput: answers that arrived in this time, and in time for their client
    fates: Mapping[str, int]
    statuses: Mapping[str, int]
    latency_ms: Mapping[str, float]  # of good answers, from the time that each was meant to be sent
    refusal_ms: Mapping[str, float]  # of refusals, likewise
    refusal_server_ms: Mapping[str, float]  # of refusals, by the service's own clock
    lag_ms: Mapping[str, float]  # from when a request was meant to be sent to when the generator came to it
    own_cpu: float  # cores that the generator itself took

    def as_json(self) -> dict[str, Any]:
        return {name: _rounded(value) for name, value in asdict(self).items()}


def figures_of(outcomes: Iterable[Outcome], begun_at: float, ended_at: float, *, own_cpu: float) -> Figures:
    """Figures of the requests that were meant for this time."""
    every = list(outcomes)
    counted = [one for one in every if begun_at <= one.intended_at < ended_at]
    good = sum(one.fate is Fate.GOOD and begun_at <= one.ended_at < ended_at for one in every)
    refusals = [one for one in counted if one.fate is Fate.REFUSED]
    seconds = ended_at - begun_at
    return Figures(
        seconds=seconds,
        sent=len(counted),
        sent_per_s=len(counted) / seconds if seconds else 0.0,
        good_per_s=good / seconds if seconds else 0.0,
        fates=dict(Counter(one.fate.value for one in counted)),
        statuses=dict(sorted(Counter(one.status for one in counted if one.status).items())),
        latency_ms=percentiles([one.latency_ms for one in counted if one.fate is Fate.GOOD]),
        refusal_ms=percentiles([one.latency_ms for one in refusals]),
        refusal_server_ms=percentiles([one.server_ms for one in refusals if one.server_ms is not None]),
        lag_ms=percentiles([one.lag_ms for one in counted]),
        own_cpu=own_cpu,
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """`p50` to `max`; nothing of nothing. Never between two values: each is one that was measured."""
    if not values:
        return {}
    ordered = sorted(values)
    return {name: ordered[-(-permille * len(ordered) // 1000) - 1] for name, permille in PERMILLE.items()}


def _rounded(value: Any) -> Any:
    """To a microsecond where times are in ms."""
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    return round(value, 3) if isinstance(value, float) else value
