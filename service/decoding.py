"""Bounded pools of threads: what is slow and not the model's runs here, never on the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Pool:
    """A few threads for decoding, or for encoding. Work that is cancelled before its turn is not done."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """What `function(*arguments)` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def close(self) -> None:
        """Ends the threads. Work that has not begun is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
