"""The service in a process of its own, with stand-in models: `python -m tests.service.echo_server`.

Settings come from the environment. What a batch meets depends on the colours of its pictures; ECHO_BATCH_MS
says how long each takes; with ECHO_CONSTANT=1 a model costs next to nothing. ECHO_METRICS=off leaves counters
and histograms at 0, to see what they cost; ECHO_COLLECTIONS=1 tells of each search for cycles. The version of
the model is what the file named by the only argument says when the models are loaded.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import Counter, Gauge
from torch import Tensor

from service.histogram import Series
from service.models import Model
from service.server import serve
from service.settings import read_settings
from tests.service.echo_models import ConstantPose, EchoPose, EchoSegmentation

BATCH_S = float(os.environ.get("ECHO_BATCH_MS", "0")) / 1000
BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 255, 0)


def react(crops: Tensor) -> None:
    """Black waits for a line on standard input, red loses the device, green hangs."""
    colours = {tuple(crop.amax(dim=(1, 2)).tolist()) for crop in crops}
    if BATCH_S:
        time.sleep(BATCH_S)  # a device that computes leaves the processor to others
    if BLACK in colours:
        print("held", flush=True)  # noqa: T201
        os.read(0, 1)
    if RED in colours:
        raise RuntimeError("CUDA error: device-side assert triggered")
    if GREEN in colours:
        threading.Event().wait()


class Versioned(Mapping[str, Model]):
    """The models as they are when somebody asks for them."""

    def __init__(self, version: Path | None) -> None:
        self._version = version

    def __getitem__(self, name: str) -> Model:
        if name == "echo-parsing":
            return EchoSegmentation()
        if os.environ.get("ECHO_CONSTANT"):
            return ConstantPose()
        return EchoPose(react, version=self._version.read_text() if self._version else "")

    def __iter__(self) -> Iterator[str]:
        return iter(("echo-pose", "echo-parsing"))

    def __len__(self) -> int:
        return 2


def count_nothing() -> None:
    """Takes away what the instruments do when they are told something."""
    for kind, names in ((Counter, ["inc"]), (Gauge, ["inc", "dec", "set"]), (Series, ["observe"])):
        for name in names:
            setattr(kind, name, lambda *_: None)


def tell(phase: str, info: dict[str, int]) -> None:
    """A line for each search for cycles."""
    if phase == "stop":
        print("collected", info["generation"], flush=True)  # noqa: T201


if __name__ == "__main__":
    if os.environ.get("ECHO_COLLECTIONS"):
        gc.callbacks.append(tell)
    if os.environ.get("ECHO_METRICS") == "off":
        count_nothing()
    sys.exit(serve(read_settings({}), Versioned(Path(sys.argv[1]) if sys.argv[1:] else None)))
