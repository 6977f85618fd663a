"""Starting, ready, draining, failed: what the probes tell and whether work is taken."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum


class State(StrEnum):
    """In the order of a life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class NotReady(Exception):
    """The models are not loaded yet."""


class Draining(Exception):
    """The service is about to stop."""


class DeviceFailed(Exception):
    """The device answers no more, or a model call hangs."""


class Lifecycle:
    """The state of the service. It only moves forward; a failure stays."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.reason = "the models are being loaded"
        self.is_alive = True
        self.is_closed = False  # no work is taken any more
        self.stop = asyncio.Event()  # the process shall end: all is answered, or nothing can be
        self.started = asyncio.Event()  # the models are loaded and warm
        self._failed = asyncio.Event()
        self._accepted = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def become_ready(self) -> None:
        self.started.set()
        if self.state is State.STARTING:
            self.state, self.reason = State.READY, "every model is loaded and warm"

    def fail(self, reason: str) -> None:
        """The process cannot make progress any more: not live until it is started anew."""
        self.state, self.reason, self.is_alive = State.FAILED, reason, False
        self._failed.set()

    async def end_when_failed(self, patience_s: float) -> None:
        """Waits for a failure, then for the last answers, but no longer than that; then the process ends."""
        await self._failed.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._idle.wait()
        self.stop.set()

    def fail_to_start(self, reason: str) -> None:
        """The models cannot be loaded. The process ends, since waiting would not help."""
        self.state, self.reason = State.FAILED, reason
        self.stop.set()

    @property
    def is_draining(self) -> bool:
        return self.state is State.DRAINING

    @property
    def is_ready(self) -> bool:
        return self.state is State.READY

    async def drain(self, grace_s: float) -> None:
        """Not ready at once; takes work for `grace_s` more; returns when everything taken is answered."""
        if self.state is State.STARTING:
            grace_s = 0.0
        if self.state is not State.FAILED:
            self.state, self.reason = State.DRAINING, "the service is about to stop"
        await asyncio.sleep(grace_s)
        self.is_closed = True
        await self._idle.wait()
        self.stop.set()

    def check_accepting(self) -> None:
        """raises: NotReady, Draining, DeviceFailed."""
        if self.is_closed:
            raise Draining(f"{self.reason}; send the request to another instance, or try later")
        if self.state is State.STARTING:
            raise NotReady(f"{self.reason}; try again in a few seconds")
        if self.state is State.FAILED:
            raise DeviceFailed(
                f"{self.reason}; the service must be started anew; send the request to another instance"
            )

    @contextmanager
    def accepted(self) -> Iterator[None]:
        """While a request taken is being answered."""
        self._accepted += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._accepted -= 1
            if not self._accepted:
                self._idle.set()
