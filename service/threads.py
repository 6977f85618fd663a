"""Threads that run functions for the event loop: the device's one, those that decode, those that encode."""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_Call = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class Threads:
    """So many threads, one line of calls, urgent ones first and then in the order given.

    The threads are daemons: a call that hangs does not keep the process alive.
    begin: called first in each thread.
    """

    def __init__(
        self,
        name: str,
        count: int = 1,
        *,
        begin: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.count = name, count
        self._begin, self._clock = begin, clock
        self._urgent: deque[_Call] = deque()
        self._normal: deque[_Call] = deque()
        self._tokens: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True for each call, False for each end
        self._busy_since: list[float | None] = [None] * count
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=name, daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, function: Callable[..., T], *arguments: Any, urgent: bool = False) -> "asyncio.Future[T]":
        """What `function(*arguments)` returns or raises. A future cancelled before its turn is not run."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._normal).append((function, arguments, answer))
        self._tokens.put(True)
        return answer

    def busy_for_s(self) -> float:
        """How long the longest of the present calls has been running; 0 between calls."""
        begun = [since for since in self._busy_since if since is not None]
        return self._clock() - min(begun) if begun else 0.0

    def close(self) -> None:
        """Ends the threads after the calls that wait."""
        for _ in self._threads:
            self._tokens.put(False)

    def has_ended(self, timeout_s: float) -> bool:
        """Whether the threads, once closed, end within the time; one whose call hangs does not."""
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, number: int) -> None:
        self._begin()
        while self._tokens.get():
            function, arguments, answer = self._next()
            if not answer.cancelled():
                self._busy_since[number] = self._clock()
                self._call(number, function, arguments, answer)
            # What a call held must not live until the next one comes.
            del function, arguments, answer

    def _next(self) -> _Call:
        # There is a call for each token, but another thread may be between a look and a take.
        while True:
            line = self._urgent or self._normal
            with suppress(IndexError):
                return line.popleft()

    def _call(
        self,
        number: int,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        answer: "asyncio.Future[Any]",
    ) -> None:
        try:
            result = function(*arguments)
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever asked, and the thread goes on
            self._busy_since[number] = None
            _tell(answer, answer.set_exception, error)
        else:
            self._busy_since[number] = None
            _tell(answer, answer.set_result, result)


def _tell(answer: "asyncio.Future[Any]", settle: Callable[[Any], None], value: object) -> None:
    loop = answer.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, answer, settle, value)


def _settle(answer: "asyncio.Future[Any]", settle: Callable[[Any], None], value: object) -> None:
    if not answer.done():
        settle(value)
