"""What the service is made of, built from the settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hrformer.engine.device import choose_device
from hrformer.engine.side_by_side import use_torch_threads
from service.admission import Admission, Bounds
from service.batcher import Batcher
from service.decoding import Pool
from service.device import Buckets, Device, Key, Kind
from service.lifecycle import DeviceFailed, Lifecycle
from service.metrics import Metrics
from service.models import Models
from service.settings import Settings, SettingsError
from service.sizing import cores, pool_threads
from service.stage import DeviceBatcher
from service.threads import Threads

if TYPE_CHECKING:
    from service.tracing import Tracing


@dataclass(frozen=True)
class Parts:
    """One of each, for the whole process."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    models: Models
    running: Threads  # that run the models, one for each unit
    alone: Threads  # the one that runs them on all units
    staging: Threads  # prepares the next batch
    loader: Threads  # loads models anew, and records what they do
    decoding: Pool
    encoding: Pool
    buckets: Buckets
    admission: Admission
    batcher: DeviceBatcher
    tracing: "Tracing | None"

    @property
    def threads(self) -> tuple[Threads, ...]:
        every = (
            self.running,
            self.alone,
            self.staging,
            self.decoding.threads,
            self.encoding.threads,
            self.loader,
        )
        return tuple(dict.fromkeys(every))  # the first two may be the same

    def longest_call(self) -> tuple[float, str]:
        """How long the longest call on the way of a request has been running, and of which thread."""
        return max((threads.busy_for_s(), threads.name) for threads in self.threads if threads != self.loader)

    def refresh_gauges(self) -> None:
        """Sets the gauges that are read only when somebody looks."""
        self.metrics.ready.set(self.lifecycle.is_ready)
        self.metrics.draining.set(self.lifecycle.is_draining)
        self.metrics.queue_bytes.set(self.admission.bytes)
        if torch.cuda.is_available():
            self.metrics.device_memory("allocated").set(torch.cuda.memory_allocated())
            self.metrics.device_memory("reserved").set(torch.cuda.memory_reserved())


def make_parts(settings: Settings) -> Parts:
    """The parts, wired; threads that wait for work, no model yet. raises: SettingsError."""
    # Asked before there are pools, whose threads tell torch a number of their own.
    model_threads = settings.threads or min(cores(), torch.get_num_threads())
    units = _units(settings, model_threads)
    lifecycle, metrics, models = Lifecycle(), Metrics(), Models()
    tracing = _tracing() if settings.tracing else None
    alone = Threads("model", begin=lambda: use_torch_threads(model_threads))
    running = alone if units == 1 else Threads("model", units, begin=lambda: use_torch_threads(1))
    loader = Threads("load")
    staging = Threads("stage", begin=lambda: use_torch_threads(1))
    decode_threads = settings.decode_threads or pool_threads(cores(), on_cpu=_is_on_cpu(settings.device))
    decoding = Pool("decode", decode_threads)
    encoding = Pool("encode", settings.encode_threads or decode_threads)

    largest = {
        "pose": settings.max_pose_batch,
        "segmentation": settings.max_segment_batch,
        "people": settings.max_people_batch,
    }

    def largest_batch(kind: object) -> int:
        assert isinstance(kind, Kind)
        return largest[models[kind.model].entry.task]

    def queued() -> Iterator[tuple[Kind, bool, int]]:
        return ((key.kind, urgent, count) for key, urgent, count in batcher.line.lengths())

    def on_fatal(failure: DeviceFailed) -> None:
        lifecycle.fail("the device failed")
        batcher.abandon(failure)

    buckets = Buckets(largest_batch)
    bounds = Bounds(settings.max_requests, settings.max_waiting_items, settings.max_waiting_bytes)
    admission = Admission(bounds, buckets, queued, units=units)
    recorder = loader if settings.record else None
    device = Device(
        running,
        alone,
        staging,
        recorder,
        buckets,
        admission=admission,
        metrics=metrics,
        on_fatal=on_fatal,
    )
    batcher = Batcher[Key, Tensor, Tensor, Tensor](
        device.run if tracing is None else tracing.around(device.run),
        prepare=device.prepare if units == 1 else None,  # it would take the time of other units
        max_batch=lambda key: buckets(key.kind),
        takes_s=lambda key, count: admission.batch_s(key.kind, count),
        max_waiting=settings.max_waiting_items,
        max_wait_s=settings.max_wait_ms / 1000,
        units=units,
        is_fatal=lambda error: isinstance(error, DeviceFailed),
    )
    return Parts(
        settings=settings,
        lifecycle=lifecycle,
        metrics=metrics,
        models=models,
        running=running,
        alone=alone,
        staging=staging,
        loader=loader,
        decoding=decoding,
        encoding=encoding,
        buckets=buckets,
        admission=admission,
        batcher=batcher,
        tracing=tracing,
    )


def _units(settings: Settings, model_threads: int) -> int:
    """Batches that run side by side: on a CPU, each on a thread of its own.

    A model that is not recorded needs Python for each operation, and Python serves one batch at a time.
    """
    return model_threads if settings.record and _is_on_cpu(settings.device) else 1


def _tracing() -> "Tracing":
    try:
        from service.tracing import Tracing
    except ModuleNotFoundError as missing:
        needed = "needs the extra of that name: pip install 'hrformer[tracing]'"
        raise SettingsError(f"tracing (HRFORMER_TRACING): {needed}") from missing
    try:
        return Tracing()
    except ValueError as error:  # of a variable OTEL_…
        raise SettingsError(f"tracing (HRFORMER_TRACING): {error}") from error


def _is_on_cpu(device: str) -> bool:
    """Whether the models will run on the CPU. A device that is not there is told when they are loaded."""
    try:
        return choose_device(device).type == "cpu"
    except ValueError:
        return True
