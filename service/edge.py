"""The outermost layer of every request: identity, headers, errors, counts, log line."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import PROTECTED, ApiKeys
from service.disconnect import ClientGone
from service.exchange import Exchange, begin, first_headers
from service.lifecycle import Lifecycle
from service.metrics import CLIENT_GONE, NO_MODEL, REFUSALS, Metrics
from service.problems import Problem, problem_of, problem_response

if TYPE_CHECKING:
    from service.tracing import Tracing

logger = logging.getLogger(__name__)

# Asked every few seconds: logged as debug, not traced.
QUIET = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass
class Edge:
    """ASGI middleware around the whole application.

    pictures: what `POST` to these paths is answered by, past the routing and middleware of `app`, which cost
        as much as all that the service does with a small picture.
    """

    app: ASGIApp
    pictures: Mapping[str, Endpoint]
    metrics: Metrics
    lifecycle: Lifecycle
    keys: ApiKeys | None
    tracing: "Tracing | None" = None
    clock: Callable[[], float] = time.monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = begin(scope["path"], first_headers(scope), self.clock)
        if self.tracing is not None and exchange.route not in QUIET:
            self.tracing.begin(exchange, scope, Headers(scope=scope))
        is_head = scope["method"] == "HEAD"
        exchange.is_body_read = scope["method"] in ("GET", "HEAD")
        # HEAD is GET without the body, on every route.
        inner = {**scope, "method": "GET" if is_head else scope["method"]}
        inner["state"] = {**scope.get("state", {}), "exchange": exchange}
        answer = Answer(send, exchange, self.lifecycle, is_head=is_head)
        with self.metrics.answering(exchange.route):
            await self._answer(inner, receive, answer)
        self._record(exchange, answer)

    async def _answer(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        exchange = answer.exchange
        try:
            if self.keys is not None and exchange.route in PROTECTED:
                self.keys.check(exchange.headers)
            endpoint = self.pictures.get(scope["path"]) if scope["method"] == "POST" else None
            if endpoint is None:
                await self.app(scope, receive, answer)
            else:
                response = await endpoint(Request(scope, receive))
                await response(scope, receive, answer)
        except ClientGone:
            answer.status = CLIENT_GONE
            self.metrics.cancelled(exchange.stage).inc()
        except Exception as error:
            if answer.status:
                raise  # too late for another answer: the server closes the connection
            self._count(problem_of(error), exchange)
            await problem_response(error, exchange.request_id, exchange.route)(scope, receive, answer)

    def _count(self, problem: Problem, exchange: Exchange) -> None:
        if exchange.span is not None:
            exchange.span.problem = problem.slug
        if problem.kind.status in REFUSALS:
            self.metrics.refused(exchange.route, problem.slug).inc()
        if problem.slug == "deadline-exceeded":
            self.metrics.deadline_exceeded(exchange.stage).inc()

    def _record(self, exchange: Exchange, answer: "Answer") -> None:
        status, now = answer.status, self.clock()
        total_s = now - exchange.arrived_at
        exemplar = None if exchange.span is None else exchange.span.exemplar
        self.metrics.requests(exchange.route, status).inc()
        self.metrics.request_duration(exchange.route).observe(total_s, exemplar)
        if exchange.received_at is not None:
            answer_s = (now if answer.begun_at is None else answer.begun_at) - exchange.received_at
            self.metrics.answer_duration(exchange.route).observe(answer_s, exemplar)
        for stage, seconds in exchange.stages.items():
            self.metrics.stage_duration(exchange.model or NO_MODEL, stage).observe(seconds, exemplar)
        if exchange.span is not None:
            exchange.span.end(exchange, status)
        level = logging.DEBUG if exchange.route in QUIET else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "request", extra=_fields(exchange, status, total_s))


def _fields(exchange: Exchange, status: str, total_s: float) -> dict[str, object]:
    return {
        "request_id": exchange.request_id,
        "trace_id": exchange.trace_id,
        "route": exchange.route,
        "status": status,
        "model_name": exchange.model,
        "stages_ms": exchange.milliseconds(),
        "total_ms": round(1000 * total_s, 2),
    }


class Answer:
    """`send` of a request, with the headers that every answer has."""

    def __init__(self, send: Send, exchange: Exchange, lifecycle: Lifecycle, *, is_head: bool) -> None:
        self.exchange = exchange
        self.status = ""  # until the answer begins
        self.begun_at: float | None = None  # of the exchange's clock
        self._send, self._lifecycle, self._is_head = send, lifecycle, is_head

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.begun_at = str(message["status"]), self.exchange.clock()
            self._add_headers(MutableHeaders(scope=message))
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers.append("X-Request-ID", self.exchange.request_id)
        headers.append("Server-Timing", self.exchange.server_timing())
        headers.append("X-Content-Type-Options", "nosniff")
        if self.exchange.traceparent is not None:
            headers.append("traceparent", self.exchange.traceparent)
        # Clients that keep connections open must not send the next request to a process that ends. But
        # closing while a body is still coming would reset the connection before the answer is read.
        if self._lifecycle.is_draining and self.exchange.is_body_read:
            headers["Connection"] = "close"
