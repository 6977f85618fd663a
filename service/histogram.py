"""Histograms that cost a request next to nothing."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString


class Series:
    """What was observed under one set of labels. Observe on one thread: the event loop's."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds  # upper, included; what is larger has a bucket of its own
        self._counts = [0] * (len(bounds) + 1)
        self._exemplars: list[Exemplar | None] = [None] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Counts a value. exemplar: labels of one that shows what such values are, like its trace."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._sum += value
        if exemplar is not None:
            self._exemplars[bucket] = Exemplar(dict(exemplar), value, time.time())

    @property
    def sum(self) -> float:
        return self._sum

    def buckets(self) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Upper bound and number of values up to it of each bucket, and an exemplar where there is one."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        counts = map(float, accumulate(self._counts))
        return [
            (name, count) if exemplar is None else (name, count, exemplar)
            for name, count, exemplar in zip(names, counts, self._exemplars, strict=True)
        ]


class Histogram(Collector):
    """An instrument: called with the values of its labels, the series that they name.

    That of prometheus_client takes two locks and a walk through the buckets for each value, and a request has
    nine. The page is still the library's.
    """

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._help, self._labels, self._bounds = name, help_text, labels, bounds
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def __call__(self, *labels: str) -> Series:
        series = self._series.get(labels)
        if series is None:
            if len(labels) != len(self._labels):
                raise ValueError(f"{self._name} has the labels {self._labels}; {labels} are given")
            series = self._series[labels] = Series(self._bounds)
        return series

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """The family without its series, by which the registry knows its names."""
        yield self._family()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family as it is now."""
        family = self._family()
        for labels, series in self._series.items():
            family.add_metric(labels, series.buckets(), series.sum)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._help, labels=self._labels)
