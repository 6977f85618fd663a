"""A collector of spans: OTLP over HTTP on a free port of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

HexIds = tuple[str, str]  # of trace and span


def attributes_of(pairs: Any) -> dict[str, Any]:
    return {pair.key: _plain(pair) for pair in pairs}


def _plain(pair: KeyValue) -> Any:
    value: AnyValue = pair.value
    return getattr(value, str(value.WhichOneof("value")))


def ids(span: Any) -> HexIds:
    """Of a span, or of what a link names."""
    return span.trace_id.hex(), span.span_id.hex()


@dataclass
class Collector:
    """What has arrived."""

    url: str
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes_of(group.resource.attributes))
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        """Spans of this name, in the order in which they began."""
        return sorted(
            (span for span in self.spans if span.name == name), key=lambda span: span.start_time_unix_nano
        )

    def inside(self, span: Span) -> list[Span]:
        return [one for one in self.spans if one.parent_span_id == span.span_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that takes everything."""

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is the library's
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # likewise
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Take) as listener:
        collector = Collector(f"http://127.0.0.1:{listener.server_address[1]}")
        serving = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        try:
            yield collector
        finally:
            listener.shutdown()
            serving.join()
