"""How long an answer is still of use."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


class DeadlineExceeded(Exception):
    """The time the client gave is over."""


@dataclass(frozen=True)
class Deadline:
    """A point in time on a clock."""

    expires_at: float  # s
    timeout_ms: int  # what the client asked for, 1 to 600,000
    clock: Callable[[], float] = time.monotonic

    def left_s(self) -> float:
        return self.expires_at - self.clock()

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Cancels its body when the time is over, and raises DeadlineExceeded in its place."""
        try:
            async with asyncio.timeout(self.left_s()) as timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise DeadlineExceeded(
                f"the answer was not ready in {self.timeout_ms} ms; allow more by X-Timeout-Ms, or try later"
            ) from error


def deadline_after(timeout_ms: int, *, since: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
    """The deadline of a request that arrived at `since`."""
    return Deadline(since + timeout_ms / 1000, timeout_ms, clock)
