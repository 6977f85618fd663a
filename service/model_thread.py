"""The one thread that owns the device: every call of a model runs here, one after the other."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Call = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class ModelThread:
    """Runs functions in the order given. A daemon: a hung call does not keep the process alive."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def run(self, function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        """What `function(*arguments)` returns or raises. A future cancelled before its turn is not run."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((function, arguments, answer))
        return answer

    def busy_for_s(self) -> float:
        """How long the present call has been running; 0 between calls."""
        since = self._busy_since
        return 0.0 if since is None else self._clock() - since

    def close(self) -> None:
        """Ends the thread after the calls that wait."""
        self._calls.put(None)

    def has_ended(self, timeout_s: float) -> bool:
        """Whether the thread, once closed, ends within the time; it does not while a call hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, arguments, answer = call
            if answer.cancelled():
                continue
            self._busy_since = self._clock()
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001  # it belongs to whoever asked, and the thread goes on
                self._busy_since = None
                _tell(answer, answer.set_exception, error)
            else:
                self._busy_since = None
                _tell(answer, answer.set_result, result)
            # What a call held must not live until the next one comes.
            del call, function, arguments, answer


def _tell(answer: "asyncio.Future[Any]", settle: Callable[[Any], None], value: object) -> None:
    def on_loop() -> None:
        if not answer.done():
            settle(value)

    loop = answer.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(on_loop)
