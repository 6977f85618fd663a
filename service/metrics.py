"""Every instrument of the service, in a registry of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

DURATION_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGES = ("receive", "decode", "wait", "model", "encode")
NO_MODEL = "none"  # the label of requests that failed before their model was known
CLIENT_GONE = "499"  # the status label of requests whose client left before the answer


class Metrics:
    """What `/metrics` shows. Labels come from closed sets, so that the number of series is bounded."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="hrformer", registry=self.registry)
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.requests = counter("requests", "Requests answered", "route", "status")
        self.request_duration = histogram("request_duration_seconds", "From arrival to answer", "route")
        self.stage_duration = histogram("stage_duration_seconds", "Time in each stage", "model", "stage")
        self.batch_items = histogram(
            "batch_items", "Items run together", "model", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
        )
        self.batch_padding = histogram(
            "batch_padding_ratio",
            "Share of a batch that is padding",
            "model",
            buckets=(0, 0.1, 0.25, 0.5, 0.75, 1),
        )
        self.batch_duration = histogram("batch_duration_seconds", "Time of a batch", "model")
        self.queue_items = gauge("queue_items", "Items that wait for the model", "model")
        self.queue_bytes = gauge("queue_bytes", "Memory held by requests")
        self.queue_oldest_age = gauge("queue_oldest_age_seconds", "Age of the oldest waiting item", "model")
        self.inflight = gauge("inflight_requests", "Requests being answered", "route")
        self.refused = counter("refused", "Requests refused", "route", "reason")
        self.cancelled = counter("cancelled", "Requests whose client left", "stage")
        self.deadline_exceeded = counter("deadline_exceeded", "Requests that ran out of time", "stage")
        self.people_per_image = histogram(
            "people_per_image", "People answered", "model", buckets=(0, 1, 2, 4, 8, 16, 32, 64)
        )
        self.image_pixels = histogram(
            "image_pixels", "Width times height", buckets=(1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 2e7, 5e7)
        )
        self.model_info = gauge(
            "model_info", "1 for each model served", "model", "version", "variant", "precision"
        )
        self.ready = gauge("ready", "1 when every model is loaded and warm and the service is not stopping")
        self.draining = gauge("draining", "1 after SIGTERM")
        self.device_memory = gauge("device_memory_bytes", "Memory of the device", "kind")
        self.device_errors = counter("device_errors", "Failures of the device", "kind")
        self.model_calls = counter("model_calls", "Calls of a model", "model", "outcome")
        self.expected_wait = gauge(
            "expected_wait_seconds", "Wait of a new item, as admission believes", "model"
        )
        for stage in STAGES:
            self.cancelled.labels(stage)
            self.deadline_exceeded.labels(stage)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Text and content type: OpenMetrics where `Accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    @contextmanager
    def answering(self, route: str) -> Iterator[None]:
        """While a request is in flight."""
        self.inflight.labels(route).inc()
        try:
            yield
        finally:
            self.inflight.labels(route).dec()

    def watch_model(
        self,
        model: str,
        *,
        queue_items: Callable[[], float],
        oldest_age_s: Callable[[], float],
        expected_wait_s: Callable[[], float],
    ) -> None:
        """Reads these whenever the page is asked for."""
        self.queue_items.labels(model).set_function(queue_items)
        self.queue_oldest_age.labels(model).set_function(oldest_age_s)
        self.expected_wait.labels(model).set_function(expected_wait_s)
        for outcome in ("ok", "error"):
            self.model_calls.labels(model, outcome)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"hrformer_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"hrformer_{name}", help_text, labels, registry=self.registry)

    def _histogram(
        self, name: str, help_text: str, *labels: str, buckets: tuple[float, ...] = DURATION_S
    ) -> Histogram:
        return Histogram(f"hrformer_{name}", help_text, labels, registry=self.registry, buckets=buckets)
