"""What a graphics card tells of itself, by NVIDIA's management library."""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from prometheus_client import Gauge

from hrformer.engine.device import choose_device
from service.metrics import Family, Metrics

logger = logging.getLogger(__name__)


def watch_card(metrics: Metrics, device: str) -> None:
    """Shows memory, utilisation and temperature of the device on the page; nothing where it is no card.

    What the card or its driver does not tell has no series.
    """
    try:
        import pynvml
    except ImportError:
        return
    try:
        chosen = choose_device(device)
        if chosen.type != "cuda":
            return
        pynvml.nvmlInit()
        # By its own name: NVML counts all cards of the machine, torch those that the process is given.
        uuid = torch.cuda.get_device_properties(chosen).uuid
        card = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except (ValueError, RuntimeError, pynvml.NVMLError) as error:
        logger.info("the card tells nothing of itself: %s", error)
        return
    show_card(metrics, pynvml, card)


def show_card(metrics: Metrics, nvml: Any, card: Any) -> None:
    """The series of a card. nvml: the library, started; card: its handle."""
    memory, utilisation = nvml.nvmlDeviceGetMemoryInfo, nvml.nvmlDeviceGetUtilizationRates
    readings: list[tuple[Family[Gauge], str, Callable[[], float]]] = [
        (metrics.device_memory, "used", lambda: memory(card).used),
        (metrics.device_memory, "total", lambda: memory(card).total),
        (metrics.device_utilisation, "compute", lambda: utilisation(card).gpu / 100),
        (metrics.device_utilisation, "memory", lambda: utilisation(card).memory / 100),
        (
            metrics.device_temperature,
            "core",
            lambda: nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU),
        ),
    ]
    for family, kind, read in readings:
        told = partial(_told, read, nvml.NVMLError)
        if not math.isnan(told()):
            family(kind).set_function(told)


def _told(read: Callable[[], float], failure: type[Exception]) -> float:
    """What is read; no number when the card does not tell it, or not any more: the page must go on."""
    try:
        return float(read())
    except failure:
        return math.nan
