"""One request from arrival to answer: who it is, and where its time went."""

import random
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.types import Scope

from service.deadline import Deadline, deadline_after
from service.option_values import integer
from service.problems import Problem

if TYPE_CHECKING:
    from service.tracing import RequestSpan

ROUTES = (
    "/",
    "/pose",
    "/segment",
    "/people",
    "/models",
    "/models/{name}",
    "/livez",
    "/readyz",
    "/metrics",
    "/version",
    "/openapi.json",
    "/docs",
    "/problems/{slug}",
    "/admin/reload",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{name}",
    "/v2/models/{name}/ready",
    "/v2/models/{name}/infer",
)
OTHER = "other"
WORK = ("/pose", "/segment", "/people", "/v2/models/{name}/infer")  # those that ask a model

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FIXED = frozenset(route for route in ROUTES if "{" not in route)
# What stands before and after the open part; the longest end first, since one may begin as another does.
_OPEN = sorted(
    ((*re.split(r"\{\w+\}", route), route) for route in ROUTES if "{" in route), key=lambda one: -len(one[1])
)
# What stages of the metrics are called in Server-Timing.
_SHOWN_AS = {"wait": "queue", "find_wait": "find_queue"}


@dataclass
class Exchange:
    """What is known of a request; stages are in seconds."""

    request_id: str
    route: str  # one of ROUTES, or "other"
    headers: Mapping[str, str]  # by names in lower case
    trace_id: str | None
    traceparent: str | None  # of this hop, for the answer
    arrived_at: float
    clock: Callable[[], float]
    model: str | None = None
    stage: str = "receive"  # where it is now
    stages: dict[str, float] = field(default_factory=dict)
    is_body_read: bool = False
    received_at: float | None = None  # when all of the body had come
    span: "RequestSpan | None" = None  # where it is traced

    def during(self, stage: str) -> AbstractContextManager[None]:
        """Adds the time of its body to a stage."""
        return _During(self, stage)

    def note(self, stage: str, begun: float, ended: float) -> None:
        """Adds a stretch of time to a stage."""
        self.stages[stage] = self.stages.get(stage, 0.0) + ended - begun
        if self.span is not None:
            self.span.stage(stage, begun, ended)

    def milliseconds(self) -> dict[str, float]:
        """Time of each stage so far, by the names that clients see."""
        return {_SHOWN_AS.get(name, name): round(1000 * seconds, 2) for name, seconds in self.stages.items()}

    def server_timing(self) -> str:
        total_s = self.clock() - self.arrived_at
        stages = [f"{_SHOWN_AS.get(name, name)};dur={1000 * s:.2f}" for name, s in self.stages.items()]
        return ", ".join([*stages, f"total;dur={1000 * total_s:.2f}"])


class _During(AbstractContextManager[None]):
    """The body of `Exchange.during`; a generator in its place takes three times as long."""

    def __init__(self, exchange: Exchange, stage: str) -> None:
        self._exchange, self._stage = exchange, stage

    def __enter__(self) -> None:
        self._exchange.stage = self._stage
        self._begun = self._exchange.clock()

    def __exit__(self, *_: object) -> None:
        self._exchange.note(self._stage, self._begun, self._exchange.clock())


def first_headers(scope: Scope) -> dict[str, str]:
    """The headers of a request; of those with one name the first. For what is asked for a dozen times."""
    pairs = reversed(scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}


def begin(path: str, headers: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> Exchange:
    """The exchange of a request that has just arrived."""
    given = headers.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
    trace_id, traceparent = _trace(headers.get("traceparent", ""))
    return Exchange(request_id, route_of(path), headers, trace_id, traceparent, clock(), clock)


def route_of(path: str) -> str:
    """The path as a label: of a closed set."""
    if path in _FIXED:
        return path
    for prefix, suffix, route in _OPEN:
        if path.startswith(prefix) and path.endswith(suffix) and len(path) > len(prefix) + len(suffix):
            return route
    return OTHER


def deadline_of(exchange: Exchange, headers: Mapping[str, str], default_ms: int, max_ms: int) -> Deadline:
    """From `X-Timeout-Ms`. raises: Problem `bad-option`."""
    given = headers.get("x-timeout-ms")
    timeout_ms = default_ms if given is None else integer(1, max_ms)("X-Timeout-Ms", given)
    return deadline_after(timeout_ms, since=exchange.arrived_at, clock=exchange.clock)


def is_urgent(headers: Mapping[str, str]) -> bool:
    """From `X-Priority`. raises: Problem `bad-option`."""
    given = headers.get("x-priority", "normal")
    if given not in ("high", "normal"):
        shown = given[:40]
        raise Problem("bad-option", f"X-Priority is {shown!r}; expected high or normal", field="X-Priority")
    return given == "high"


def _trace(given: str) -> tuple[str | None, str | None]:
    """Trace id and our own `traceparent` (W3C Trace Context); nothing when the one given cannot be used."""
    match = _TRACEPARENT.fullmatch(given) if given else None
    if match is None:
        return None, None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(parent_id, 16):
        return None, None
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-{int(flags, 16) & 1:02x}"
