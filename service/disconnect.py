"""A client that closes its connection takes its work with it."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVar

from starlette.types import Receive, Scope

T = TypeVar("T")
Tell: TypeAlias = Callable[[], object]
Watch: TypeAlias = Callable[[Tell], Tell]  # tells once when the client has gone; what it returns ends that

# An extension of ASGI by the service's own connections: its `watch` is a `Watch`. To wait for the message of
# a disconnect takes a task for each request, which is begun and cancelled for nothing.
LEAVING = "hrformer.leaving"


class ClientGone(Exception):
    """Nobody is left to answer."""


class Departure:
    """The end of a connection, and who is told of it. It knows nothing of the connection, so that nothing
    that is left of a request keeps that in memory.
    """

    def __init__(self) -> None:
        self._is_over = False
        self._told: set[Tell] = set()

    def watch(self, tell: Tell) -> Tell:
        """A `Watch`; also when the client has gone already."""
        if self._is_over:
            return asyncio.get_running_loop().call_soon(tell).cancel
        self._told.add(tell)
        return partial(self._told.discard, tell)

    def happen(self) -> None:
        self._is_over = True
        for tell in [*self._told]:
            tell()


def watch_of(scope: Scope, receive: Receive) -> Watch:
    """How to be told that the client has gone.

    receive: of a request whose body has been read, so that the next message can only be the disconnect.
    """
    extension = scope.get("extensions", {}).get(LEAVING)
    return partial(_wait_for_it, receive) if extension is None else extension["watch"]


async def unless_gone(watch: Watch, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; when the client goes first, it is cancelled.

    raises: ClientGone, and whatever `work` raises.
    """
    task = asyncio.current_task()
    assert task is not None
    others = task.cancelling()
    is_gone = False

    def on_gone() -> None:
        nonlocal is_gone
        is_gone = True
        task.cancel()

    stop = watch(on_gone)
    try:
        return await work
    except asyncio.CancelledError:
        # As asyncio.timeout does: somebody else may have cancelled us at the same time, and goes first.
        if is_gone and task.uncancel() <= others:
            raise ClientGone from None
        raise
    finally:
        stop()


def _wait_for_it(receive: Receive, tell: Tell) -> Tell:
    def on_end(listening: "asyncio.Task[None]") -> None:
        if not listening.cancelled():
            tell()

    listening = asyncio.get_running_loop().create_task(_gone(receive))
    listening.add_done_callback(on_end)

    def stop() -> None:
        listening.remove_done_callback(on_end)
        listening.cancel()

    return stop


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
