"""Every instrument of the service, in a registry of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from service.exchange import OTHER, ROUTES, WORK
from service.histogram import Histogram
from service.problem_kinds import KINDS

DURATION_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGES = ("receive", "decode", "find_wait", "find_model", "wait", "model", "encode")
RELOADS = ("swapped", "rolled_back", "failed")
NO_MODEL = "none"  # the label of requests that failed before their model was known
CLIENT_GONE = "499"  # the status label of requests whose client left before the answer
REFUSALS = (429, 503)
REASONS = tuple(slug for slug, kind in KINDS.items() if kind.status in REFUSALS)
WORK_STATUSES = sorted({CLIENT_GONE} | {str(kind.status) for kind in KINDS.values()})
CONNECTION_STATUSES = ("400", "404", "408", "431")  # of what no route is asked by
DEVICE_ERRORS = ("out_of_memory", "fatal", "hang")

Instrument = TypeVar("Instrument", Counter, Gauge)


class Family(Generic[Instrument]):
    """An instrument with labels: called with their values, the series that they name.

    prometheus_client finds a series by a lock and a tuple of strings made anew.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument: Instrument = instrument
        self._series: dict[tuple[str, ...], Instrument] = {}

    def __call__(self, *labels: str) -> Instrument:
        series = self._series.get(labels)
        if series is None:
            series = self._instrument.labels(*labels) if labels else self._instrument
            self._series[labels] = series
        return series

    def forget(self, *labels: str) -> None:
        """Takes a series off the page."""
        if self._series.pop(labels, None) is not None:
            self._instrument.remove(*labels)


class Metrics:
    """What `/metrics` shows. Labels come from closed sets, so that the number of series is bounded."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="hrformer", registry=self.registry)
        self.requests = self._counter("requests", "Requests answered", "route", "status")
        self.request_duration = self._histogram("request_duration_seconds", "From arrival to answer", "route")
        self.answer_duration = self._histogram(
            "answer_duration_seconds", "From the last byte of a request to the first of its answer", "route"
        )
        self.stage_duration = self._histogram(
            "stage_duration_seconds", "Time in each stage", "model", "stage"
        )
        self.batch_items = self._histogram(
            "batch_items", "Items run together", "model", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
        )
        self.batch_padding = self._histogram(
            "batch_padding_ratio",
            "Share of a batch that is padding",
            "model",
            buckets=(0, 0.1, 0.25, 0.5, 0.75, 1),
        )
        self.batch_duration = self._histogram("batch_duration_seconds", "Time of a batch", "model")
        self.batch_limit = self._gauge(
            "batch_limit_items", "Largest batch; it steps down when memory runs out", "model"
        )
        self.queue_items = self._gauge("queue_items", "Items that wait for the model", "model")
        self.queue_bytes = self._gauge("queue_bytes", "Memory held by requests")()
        self.queue_oldest_age = self._gauge(
            "queue_oldest_age_seconds", "Age of the oldest waiting item", "model"
        )
        self.inflight = self._gauge("inflight_requests", "Requests being answered", "route")
        self.refused = self._counter("refused", "Requests refused", "route", "reason")
        self.cancelled = self._counter("cancelled", "Requests whose client left", "stage")
        self.deadline_exceeded = self._counter("deadline_exceeded", "Requests that ran out of time", "stage")
        self.people_per_image = self._histogram(
            "people_per_image", "People answered", "model", buckets=(0, 1, 2, 4, 8, 16, 32, 64)
        )
        self.image_pixels = self._histogram(
            "image_pixels", "Width times height", buckets=(1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 2e7, 5e7)
        )()
        self.model_info = self._gauge(
            "model_info", "1 for each model served", "model", "version", "variant", "precision"
        )
        self.ready = self._gauge(
            "ready", "1 when every model is loaded and warm and the service is not stopping"
        )()
        self.draining = self._gauge("draining", "1 after SIGTERM")()
        self.memory_limit = self._gauge("memory_limit_bytes", "Memory that the process may have")()
        self.device_memory = self._gauge("device_memory_bytes", "Memory of the device", "kind")
        self.device_utilisation = self._gauge(
            "device_utilisation_ratio", "Share of the last moments in which the device was busy", "kind"
        )
        self.device_temperature = self._gauge(
            "device_temperature_celsius", "Temperature of the device", "kind"
        )
        self.device_errors = self._counter("device_errors", "Failures of the device", "kind")
        self.model_calls = self._counter("model_calls", "Calls of a model", "model", "outcome")
        self.expected_wait = self._gauge(
            "expected_wait_seconds", "Wait of a new item, as admission believes", "model"
        )
        self.reloads = self._counter("reloads", "Models loaded anew", "outcome")
        self._begin_at_zero()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Text and content type: OpenMetrics where `Accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def answering(self, route: str) -> AbstractContextManager[None]:
        """While a request is in flight."""
        return self.inflight(route).track_inprogress()

    def _begin_at_zero(self) -> None:
        """The series that may come, so that the first thing counted is seen as an increase."""
        for route in ROUTES:
            self.requests(route, "200")
        for status in CONNECTION_STATUSES:
            self.requests(OTHER, status)
        for route in WORK:
            self.request_duration(route)
            self.answer_duration(route)
            for status in WORK_STATUSES:
                self.requests(route, status)
            for reason in REASONS:
                self.refused(route, reason)
        for stage in STAGES:
            self.cancelled(stage)
            self.deadline_exceeded(stage)
        for kind in DEVICE_ERRORS:
            self.device_errors(kind)
        for outcome in RELOADS:
            self.reloads(outcome)

    def watch_model(
        self,
        model: str,
        *,
        queue_items: Callable[[], float],
        oldest_age_s: Callable[[], float],
        expected_wait_s: Callable[[], float],
        batch_limit: Callable[[], float],
    ) -> None:
        """Reads these whenever the page is asked for."""
        self.queue_items(model).set_function(queue_items)
        self.queue_oldest_age(model).set_function(oldest_age_s)
        self.expected_wait(model).set_function(expected_wait_s)
        self.batch_limit(model).set_function(batch_limit)
        for outcome in ("ok", "error"):
            self.model_calls(model, outcome)

    def forget_model(self, model: str) -> None:
        """Takes the gauges of a model that is served no more off the page; its counters stay."""
        for family in (self.queue_items, self.queue_oldest_age, self.expected_wait, self.batch_limit):
            family.forget(model)

    def _counter(self, name: str, help_text: str, *labels: str) -> Family[Counter]:
        return Family(Counter(f"hrformer_{name}", help_text, labels, registry=self.registry))

    def _gauge(self, name: str, help_text: str, *labels: str) -> Family[Gauge]:
        return Family(Gauge(f"hrformer_{name}", help_text, labels, registry=self.registry))

    def _histogram(
        self, name: str, help_text: str, *labels: str, buckets: tuple[float, ...] = DURATION_S
    ) -> Histogram:
        return Histogram(f"hrformer_{name}", help_text, labels, bounds=buckets, registry=self.registry)
