"""A batch on the device: stacked, run on the model thread, timed and counted."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from service.admission import Admission
from service.lifecycle import DeviceFailed
from service.metrics import Metrics
from service.model_thread import ModelThread
from service.models import Models

logger = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What decides how long an item takes."""

    model: str
    flip_test: bool = False


class Key(NamedTuple):
    """What the items of one batch have in common."""

    kind: Kind
    shape: tuple[int, ...]


class Device:
    """Runs batches of the models. `on_fatal` is told of a failure after which nothing runs any more."""

    def __init__(
        self,
        thread: ModelThread,
        models: Models,
        *,
        admission: Admission,
        metrics: Metrics,
        on_fatal: Callable[[DeviceFailed], None],
    ) -> None:
        self._thread, self._models = thread, models
        self._admission, self._metrics, self._on_fatal = admission, metrics, on_fatal

    async def run(self, key: Key, items: Sequence[Tensor]) -> Sequence[Tensor]:
        """The model's answer for each item, on the CPU. raises: DeviceFailed, whatever the model raises."""
        name = key.kind.model
        begun = time.monotonic()
        try:
            answers = await self._thread.run(self._call, key.kind, items)
        except Exception as error:
            self._metrics.model_calls.labels(name, "error").inc()
            if not is_fatal(error):
                raise
            self._metrics.device_errors.labels("fatal").inc()
            logger.exception("the device failed")
            failure = DeviceFailed(
                "the device failed; the service must be started anew; use another instance"
            )
            self._on_fatal(failure)
            raise failure from error
        seconds = time.monotonic() - begun
        self._admission.observe(key.kind, len(items), seconds)
        self._metrics.model_calls.labels(name, "ok").inc()
        self._metrics.batch_items.labels(name).observe(len(items))
        self._metrics.batch_padding.labels(name).observe(0.0)
        self._metrics.batch_duration.labels(name).observe(seconds)
        return answers

    def _call(self, kind: Kind, items: Sequence[Tensor]) -> Sequence[Tensor]:
        model = self._models[kind.model].model
        batch = torch.stack(list(items))
        answers: Tensor = model.run(batch, True) if kind.flip_test else model.run(batch)
        return answers.unbind(0)


def is_fatal(error: BaseException) -> bool:
    """Whether the device is lost: CUDA reports every later call as failed too. Out of memory is not that."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return type(error).__name__ == "AcceleratorError" or (
        isinstance(error, RuntimeError) and "CUDA error" in str(error)
    )
