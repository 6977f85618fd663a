"""What a card tells of itself, and what is shown where there is none. NVML is a stand-in: it needs a card."""

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from service.card import show_card, watch_card
from service.metrics import Metrics

SERIES = {
    ("hrformer_device_memory_bytes", "used"): 3e9,
    ("hrformer_device_memory_bytes", "total"): 8e9,
    ("hrformer_device_utilisation_ratio", "compute"): 0.75,
    ("hrformer_device_utilisation_ratio", "memory"): 0.25,
    ("hrformer_device_temperature_celsius", "core"): 61.0,
}


class NVMLError(Exception):
    pass


class Card:
    """The library with one card, which may stop telling."""

    NVML_TEMPERATURE_GPU = 0
    NVMLError = NVMLError

    def __init__(self, *silent: str) -> None:
        self.silent = set(silent)

    def _tell(self, what: str, value: Any) -> Any:
        if what in self.silent:
            raise NVMLError("Not Supported")
        return value

    def nvmlDeviceGetMemoryInfo(self, card: object) -> Any:  # noqa: N802
        return self._tell("memory", SimpleNamespace(used=3_000_000_000, total=8_000_000_000))

    def nvmlDeviceGetUtilizationRates(self, card: object) -> Any:  # noqa: N802
        return self._tell("utilisation", SimpleNamespace(gpu=75, memory=25))

    def nvmlDeviceGetTemperature(self, card: object, sensor: int) -> Any:  # noqa: N802
        return self._tell("temperature", 61)


def series(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels["kind"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("hrformer_device_") and "errors" not in sample.name
    }


def test_memory_utilisation_and_temperature_are_shown() -> None:
    metrics = Metrics()
    show_card(metrics, Card(), object())
    assert series(metrics) == SERIES


def test_what_a_card_does_not_tell_has_no_series() -> None:
    metrics = Metrics()
    show_card(metrics, Card("utilisation"), object())
    assert series(metrics).keys() == {key for key in SERIES if "utilisation" not in key[0]}


def test_a_card_that_falls_silent_does_not_take_the_page_with_it() -> None:
    metrics, card = Metrics(), Card()
    show_card(metrics, card, object())
    card.silent.add("temperature")
    shown = series(metrics)
    assert math.isnan(shown.pop(("hrformer_device_temperature_celsius", "core")))
    assert shown == {key: value for key, value in SERIES.items() if key in shown}


@pytest.mark.parametrize("device", ["cpu", "cuda:99"])
def test_nothing_is_shown_where_there_is_no_card(device: str) -> None:
    metrics = Metrics()
    watch_card(metrics, device)
    assert series(metrics) == {}


def test_nothing_is_shown_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    metrics = Metrics()
    watch_card(metrics, "auto")
    assert series(metrics) == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no card: NVML itself is not asked")
def test_a_real_card_tells_its_memory() -> None:
    metrics = Metrics()
    watch_card(metrics, "cuda")
    total = torch.cuda.get_device_properties(0).total_memory
    assert series(metrics)["hrformer_device_memory_bytes", "total"] == pytest.approx(total, rel=0.1)
