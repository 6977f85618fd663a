"""Bounded pools of threads: what is slow and not the model's runs here, never on the event loop."""

import time
from collections.abc import Callable, Hashable
from typing import TypeVar

from hrformer.engine.side_by_side import use_torch_threads
from service.durations import Durations
from service.threads import Threads

T = TypeVar("T")


class Pool:
    """A few threads for decoding, or for encoding, and what is known of how long that takes.

    Work that is cancelled before its turn is not done.
    """

    def __init__(self, name: str, threads: int) -> None:
        # A decoder's own tensor operations must not start a team of threads for each core.
        self.threads = Threads(name, threads, begin=lambda: use_torch_threads(1))
        self._times = Durations()
        self._backlog_s = {False: 0.0, True: 0.0}  # by urgency: expected, of what waits or runs

    async def run(
        self, function: Callable[..., T], *arguments: object, kind: Hashable, size: int, urgent: bool = False
    ) -> T:
        """What `function(*arguments)` returns or raises.

        kind, size: of work that takes alike, like a format, and the number of pixels.
        """
        expected_s = self.expected_s(kind, size)
        self._backlog_s[urgent] += expected_s
        try:
            result: T
            result, seconds = await self.threads.run(_timed, function, arguments, urgent=urgent)
        finally:
            self._backlog_s[urgent] -= expected_s
        self._times.observe(kind, size, seconds)
        return result

    def expected_s(self, kind: Hashable, size: int) -> float:
        """Seconds that such work takes; 0 before there was any."""
        return self._times.predict(kind, size)

    def wait_s(self, kind: Hashable, size: int, *, urgent: bool = False) -> float:
        """Seconds until such work would be done, had it come now."""
        ahead_s = self._backlog_s[True] + (0.0 if urgent else self._backlog_s[False])
        return max(ahead_s, 0.0) / self.threads.count + self.expected_s(kind, size)


def _timed(function: Callable[..., T], arguments: tuple[object, ...]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - begun
