"""Spans of requests, of their stages and of the batches on the device, for an OpenTelemetry collector.

Imported only where the setting asks for it, since its packages are those of the extra `tracing`. Where spans
go, which requests have them and how many may wait is told by OpenTelemetry's own variables, `OTEL_…`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.semconv.attributes import error_attributes as error
from opentelemetry.semconv.attributes import http_attributes as http
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.semconv.attributes import service_attributes as service
from opentelemetry.semconv.attributes import url_attributes as url
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from hrformer import __version__
from service.device import Key
from service.exchange import OTHER, Exchange
from service.metrics import CLIENT_GONE
from service.threads import Threads

LAST_SPANS_S = 3.0  # the collector may take so long for what is left at the end
LONGEST = 512  # characters of a text that comes from outside
METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})

# They warn of each word in a client's `tracestate` that they do not understand.
TALKATIVE = ("opentelemetry.trace.span", "opentelemetry.trace.propagation.tracecontext")

Run = Callable[[Key, Sequence[Tensor], Tensor | None, int], Awaitable[Sequence[Tensor]]]


class RequestSpan:
    """The span of a request that is recorded. Times are seconds of the exchange's clock."""

    def __init__(
        self, tracer: Tracer, span: Span, epoch_ns: int, waiting: MutableMapping[Tensor, "RequestSpan"]
    ) -> None:
        self.span, self.problem = span, ""  # the slug of what went wrong
        self.exemplar = {"trace_id": format_trace_id(span.get_span_context().trace_id)}
        self._tracer, self._epoch_ns, self._waiting = tracer, epoch_ns, waiting
        self._inside = set_span_in_context(span, Context())

    def stage(self, name: str, begun: float, ended: float) -> None:
        """A stretch of time in a stage, which is over."""
        stage = self._tracer.start_span(name, self._inside, start_time=self._ns(begun))
        stage.end(self._ns(ended))

    def line_up(self, items: Sequence[Tensor]) -> None:
        """The batches of these items are this request's."""
        for item in items:
            self._waiting[item] = self

    def end(self, exchange: Exchange, status: str) -> None:
        """The request is over. Only what is the service's fault is an error to OpenTelemetry."""
        if status.isdecimal() and status != CLIENT_GONE:
            self.span.set_attribute(http.HTTP_RESPONSE_STATUS_CODE, int(status))
        if status >= "500":
            self.span.set_attribute(error.ERROR_TYPE, self.problem or status)
            self.span.set_status(StatusCode.ERROR)
        told = {"request_id": exchange.request_id, "model": exchange.model, "problem": self.problem}
        if status == CLIENT_GONE:
            told["client_left_in"] = exchange.stage
        self.span.set_attributes({f"hrformer.{name}": value for name, value in told.items() if value})
        self.span.end(self._ns(exchange.clock()))

    def _ns(self, seconds: float) -> int:
        return self._epoch_ns + round(1e9 * seconds)


class Tracing:
    """Makes spans. A thread of its own sends them; what finds its queue full is dropped."""

    def __init__(self) -> None:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        self._exporter = OTLPSpanExporter()
        self._processor = BatchSpanProcessor(self._exporter)
        ours = {service.SERVICE_NAME: "hrformer", service.SERVICE_VERSION: __version__}
        resource = Resource.create(ours).merge(OTELResourceDetector().detect())
        # OTEL_TRACES_SAMPLER decides; without it whoever sent the request, and nobody means yes.
        self._requests = self._tracer(resource, None)
        # A batch is recorded when one of its requests is.
        self._batches = self._tracer(resource, ALWAYS_ON)
        self._waiting: MutableMapping[Tensor, RequestSpan] = WeakTensorKeyDictionary()
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, exchange: Exchange, scope: Scope, headers: Headers) -> None:
        """Gives the exchange its place in the trace of its request, and a span if that is recorded."""
        epoch_ns = time.time_ns() - round(1e9 * exchange.clock())
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        route = {} if exchange.route == OTHER else {http.HTTP_ROUTE: exchange.route}
        span = self._requests.start_span(
            " ".join(["HTTP" if method == "_OTHER" else method, *route.values()]),
            self._parent(exchange, headers),
            SpanKind.SERVER,
            {http.HTTP_REQUEST_METHOD: method, **route, **_asked(scope, headers)},
            start_time=epoch_ns + round(1e9 * exchange.arrived_at),
        )
        context = span.get_span_context()
        if not context.is_valid:  # OTEL_SDK_DISABLED
            return
        exchange.trace_id = format_trace_id(context.trace_id)
        span_id = format_span_id(context.span_id)
        exchange.traceparent = f"00-{exchange.trace_id}-{span_id}-{context.trace_flags:02x}"
        if span.is_recording():
            exchange.span = RequestSpan(self._requests, span, epoch_ns, self._waiting)

    def around(self, run: Run) -> Run:
        """The same, with a span for each batch of recorded requests."""

        async def traced(
            key: Key, items: Sequence[Tensor], prepared: Tensor | None, units: int
        ) -> Sequence[Tensor]:
            with self._batch(key, items):
                return await run(key, items, prepared, units)

        return traced

    async def close(self) -> None:
        """Sends what is left, unless the collector takes too long for that."""
        sending = Threads("trace")
        sent = sending.run(self._processor.shutdown)
        sending.close()
        await asyncio.wait([sent], timeout=LAST_SPANS_S)
        if not sent.done():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it waits to try again, and need not

    @contextmanager
    def _batch(self, key: Key, items: Sequence[Tensor]) -> Iterator[None]:
        """A span of its own trace, linked to its requests as they are to it."""
        found = (self._waiting.get(item) for item in items)
        requests = list(dict.fromkeys(one for one in found if one is not None))
        if not requests:
            yield
            return
        links = [Link(one.span.get_span_context()) for one in requests]
        attributes = _computed(key, items) | {"hrformer.batch.requests": len(requests)}
        batch = self._batches.start_span(
            f"batch {key.kind.model}", Context(), attributes=attributes, links=links
        )
        for one in requests:
            one.span.add_link(batch.get_span_context())
        try:
            yield
        except Exception as failure:
            batch.set_attribute(error.ERROR_TYPE, type(failure).__qualname__)
            batch.set_status(StatusCode.ERROR, str(failure)[:LONGEST])
            raise
        finally:
            batch.end()

    def _parent(self, exchange: Exchange, headers: Headers) -> Context:
        """The span that the request names, if it names one rightly."""
        if exchange.traceparent is None:
            return Context()
        given = {name: headers.getlist(name) for name in ("traceparent", "tracestate")}
        return self._propagator.extract(given, Context())

    def _tracer(self, resource: Resource, sampler: Sampler | None) -> Tracer:
        provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        return provider.get_tracer("hrformer", __version__)


def _asked(scope: Scope, headers: Headers) -> dict[str, str | int]:
    """What is known of a request when it arrives."""
    asked: dict[str, Any] = {
        url.URL_SCHEME: scope["scheme"],
        url.URL_PATH: scope["path"][:LONGEST],
        NETWORK_PROTOCOL_VERSION: scope["http_version"],
        USER_AGENT_ORIGINAL: headers.get("user-agent", "")[:LONGEST] or None,
    }
    with suppress(ValueError):  # a Host that is none
        address = urlsplit(f"//{headers.get('host', '')}")
        asked |= {server.SERVER_ADDRESS: address.hostname, server.SERVER_PORT: address.port}
    return {name: value for name, value in asked.items() if value is not None}


def _computed(key: Key, items: Sequence[Tensor]) -> dict[str, str | int | bool]:
    return {
        "hrformer.model": key.kind.model,
        "hrformer.model_version": key.served.version,
        "hrformer.device": key.served.device,
        "hrformer.flip_test": key.flip_test,
        "hrformer.batch.items": len(items),
    }
