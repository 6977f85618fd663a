"""Models loaded anew beside those that serve, and put in their place when they answer as they should."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.canary import Canary, CanaryDied
from service.metrics import Metrics
from service.models import Models, Served
from service.threads import Threads

logger = logging.getLogger(__name__)


class ReloadFailed(Exception):
    """The models that served go on."""


@dataclass(frozen=True)
class Loaded:
    """Models that are loaded and warm, and the names of the defaults by task."""

    served: Sequence[Served]
    defaults: Mapping[str, str]


class Reloader:
    """Swaps all models, or none.

    load: loads and warms, on a thread of its own, while the others serve. install: puts them in place.
    """

    def __init__(
        self,
        load: Callable[[], Loaded],
        read_canary: Callable[[], Canary],
        install: Callable[[Loaded], None],
        *,
        models: Models,
        model_thread: Threads,
        loader: Threads,
        metrics: Metrics,
    ) -> None:
        self._load, self._read_canary, self._install = load, read_canary, install
        self._models, self._model_thread, self._loader = models, model_thread, loader
        self._metrics = metrics
        self._lock = asyncio.Lock()

    async def run(self) -> list[Served]:
        """The models that serve from now on. raises: ReloadFailed, in words a client may read."""
        if self._lock.locked():
            raise ReloadFailed("the models are being loaded already; ask again when that is done")
        async with self._lock:
            try:
                loaded = await self._loader.run(self._load)
                await self._check(loaded.served)
            except CanaryDied as error:
                self._metrics.reloads("rolled_back").inc()
                logger.error("the new models are not taken: %s", error)
                raise ReloadFailed(f"{error}; the models that served go on") from error
            except Exception as error:
                self._metrics.reloads("failed").inc()
                # What is wrong with weights is said in a sentence; anything else needs its trace.
                logger.error(
                    "the models cannot be loaded: %s", error, exc_info=not isinstance(error, ValueError)
                )
                raise ReloadFailed(
                    "the models cannot be loaded, the log says why; those that served go on"
                ) from error
            self._install(loaded)
        self._metrics.reloads("swapped").inc()
        logger.info("models swapped", extra={"models": {one.name: one.version for one in loaded.served}})
        return list(loaded.served)

    async def _check(self, served: Sequence[Served]) -> None:
        """raises: CanaryDied, naming the model; whatever a model or the picture's file raises."""
        canary = await self._loader.run(self._read_canary)
        before = {one.name: one for one in self._models}
        for one in served:
            try:
                new = await self._loader.run(canary.answer, one)
                if old := before.get(one.name):
                    answer = await self._model_thread.run(canary.answer, old)
                    canary.check(answer, new, is_same=old.entry.sha256 == one.entry.sha256)
            except CanaryDied as error:
                raise CanaryDied(f"model {one.name} {one.version}: {error}") from error
