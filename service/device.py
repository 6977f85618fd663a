"""Batches on the device: stacked, run on the model's threads, timed and counted."""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hrformer.engine.side_by_side import on_one_thread, use_torch_threads
from service.admission import Admission
from service.device_errors import Failure, OutOfMemory, failure_of
from service.lifecycle import DeviceFailed
from service.metrics import Metrics
from service.models import Served
from service.threads import Threads

logger = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What decides how long an item takes."""

    model: str
    flip_test: bool = False


class Key(NamedTuple):
    """What the items of one batch have in common. A model that is swapped has other keys than before."""

    served: Served
    shape: tuple[int, ...]
    flip_test: bool = False

    @property
    def kind(self) -> Kind:
        return Kind(self.served.name, self.flip_test)


class Buckets:
    """The largest batch of each kind. It steps down when the memory is too small for it, and stays there."""

    def __init__(self, largest: Callable[[Hashable], int]) -> None:
        self._largest = largest
        self._known: dict[Hashable, int] = {}

    def __call__(self, kind: Hashable) -> int:
        if kind not in self._known:
            self._known[kind] = self._largest(kind)
        return self._known[kind]

    def step_down(self, kind: Hashable, failed: int) -> int:
        """The new bucket after a batch of `failed` items found no memory."""
        self._known[kind] = max(1, min(self(kind), failed // 2))
        return self._known[kind]


class Device:
    """Runs batches of the models.

    threads: that run the models, one for each unit. alone: the thread of a batch that has all units: OpenMP's
        threads belong to the one that began them, and are slow when they outnumber the cores.
    recorder: makes sizes faster on a CPU once they were run, beside what runs; none: they stay as they are.
    on_fatal: told of a failure after which nothing runs any more.
    """

    def __init__(
        self,
        threads: Threads,
        alone: Threads,
        staging: Threads,
        recorder: Threads | None,
        buckets: Buckets,
        *,
        admission: Admission,
        metrics: Metrics,
        on_fatal: Callable[[DeviceFailed], None],
    ) -> None:
        self._threads, self._alone = threads, alone
        self._staging, self._buckets = staging, buckets
        self._recorder = recorder
        self._recorded: WeakKeyDictionary[Served, set[tuple[int, ...]]] = WeakKeyDictionary()
        self._admission, self._metrics, self._on_fatal = admission, metrics, on_fatal

    async def prepare(self, key: Key, items: Sequence[Tensor]) -> Tensor:
        """The batch of these items, on the device."""
        return await self._staging.run(_stage, key, items)

    async def run(
        self, key: Key, items: Sequence[Tensor], prepared: Tensor | None, units: int
    ) -> Sequence[Tensor]:
        """The model's answer for each item, on the CPU.

        units: that compute it, 1 or all.
        raises: OutOfMemory, DeviceFailed, whatever the model raises.
        """
        begun = time.monotonic()
        try:
            with self._admission.running(key.kind, len(items), units):
                threads = self._threads if units == 1 else self._alone
                answers = await threads.run(_call, key, items, prepared)
        except Exception as error:
            self._metrics.model_calls(key.kind.model, "error").inc()
            failure = failure_of(error)
            if failure is Failure.ITEM:
                raise
            self._metrics.device_errors(failure).inc()
            if failure is Failure.OUT_OF_MEMORY:
                raise self._out_of_memory(key, len(items)) from error
            raise self._lost(error) from error
        self._count(key.kind.model, len(items), time.monotonic() - begun)
        self._record(key)
        return answers

    def _record(self, key: Key) -> None:
        """Begins to, if it is the first batch of this size."""
        sizes = self._recorded.setdefault(key.served, set())
        if self._recorder is None or key.served.device != "cpu" or key.shape in sizes:
            return
        sizes.add(key.shape)
        recording = self._recorder.run(_make_recording, key)
        recording.add_done_callback(partial(_log_recording, key))

    def _out_of_memory(self, key: Key, count: int) -> OutOfMemory:
        bucket = self._buckets.step_down(key.kind, count)
        logger.warning("no memory for a batch of %d of %s; now at most %d", count, key.kind.model, bucket)
        return OutOfMemory("the device has no memory left for this picture; try later or another instance")

    def _lost(self, error: Exception) -> DeviceFailed:
        logger.error("the device failed", exc_info=error)
        lost = DeviceFailed("the device failed; the service is started anew; use another instance")
        self._on_fatal(lost)
        return lost

    def _count(self, model: str, items: int, seconds: float) -> None:
        self._metrics.model_calls(model, "ok").inc()
        self._metrics.batch_items(model).observe(items)
        self._metrics.batch_padding(model).observe(0.0)
        self._metrics.batch_duration(model).observe(seconds)


def _make_recording(key: Key) -> None:
    use_torch_threads(1)  # the others are for what runs
    height, width = key.shape[-2:]
    key.served.model.record(height, width)


def _log_recording(key: Key, recording: "asyncio.Future[None]") -> None:
    error = None if recording.cancelled() else recording.exception()
    name, size = key.kind.model, "x".join(map(str, key.shape[-2:]))
    if error is None:
        logger.info("%s runs from a recording at %s", name, size)
    else:
        logger.warning("%s cannot be recorded at %s and stays slower", name, size, exc_info=error)


def _stage(key: Key, items: Sequence[Tensor]) -> Tensor:
    """Stacked, and moved by a stream of its own while the model's computes.

    The stream's memory may be given to the next batch only when the model has read it: every `run` of a model
    ends with its answers on the CPU, and the batch is held until then.
    """
    batch = torch.stack(list(items))
    if not key.served.device.startswith("cuda"):
        return batch
    stream = torch.cuda.Stream(key.served.device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        moved = batch.pin_memory().to(key.served.device, non_blocking=True)
    stream.synchronize()
    return moved


def _call(key: Key, items: Sequence[Tensor], prepared: Tensor | None) -> Sequence[Tensor]:
    model, batch = key.served.model, prepared
    if batch is None:
        with on_one_thread():
            batch = torch.stack(list(items))
    try:
        answers: Tensor = model.run(batch, True) if key.flip_test else model.run(batch)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()  # what is left in pieces may make room for half as many
        raise
    return answers.unbind(0)
