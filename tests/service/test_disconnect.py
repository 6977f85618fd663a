"""Work and the connection it is done for, each ending first."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from service.disconnect import ClientGone, Watch, unless_gone, watch_of
from tests.service.virtual_time import run


async def never() -> dict[str, Any]:
    return await asyncio.Event().wait() and {}


async def after(seconds: float, message: str = "http.disconnect") -> dict[str, Any]:
    await asyncio.sleep(seconds)
    return {"type": message}


def leaving(message: Coroutine[Any, Any, dict[str, Any]]) -> Watch:
    """A server that knows no more than ASGI, and what it says at last."""

    async def receive() -> dict[str, Any]:
        return await message

    return watch_of({"type": "http"}, receive)


async def answer(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "answer"


async def failure(seconds: float) -> str:
    await asyncio.sleep(seconds)
    raise ValueError("no")


def test_work_that_ends_first_is_returned() -> None:
    assert run(unless_gone(leaving(after(2)), answer(1))) == "answer"


def test_work_that_fails_first_is_raised() -> None:
    with pytest.raises(ValueError, match="no"):
        run(unless_gone(leaving(after(2)), failure(1)))


def test_a_connection_that_ends_first_cancels_the_work() -> None:
    async def play() -> bool:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                ended.set()

        with pytest.raises(ClientGone):
            await unless_gone(leaving(after(1)), work())
        return ended.is_set()

    assert run(play())


def test_a_failure_at_the_moment_of_a_cancellation_is_not_left_lying_about() -> None:
    async def play() -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, report: reports.append(report))
        asking = asyncio.create_task(unless_gone(leaving(never()), failure(1)))
        loop.call_later(1, loop.call_soon, asking.cancel)
        await asyncio.gather(asking, return_exceptions=True)
        del asking
        gc.collect()
        return reports

    assert run(play()) == []
