"""A client that closes its connection takes its work with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):
    """Nobody is left to answer."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; when the connection closes first, it is cancelled.

    receive: of an ASGI request whose body has been read, so that the next message can only be the disconnect.
    raises:  ClientGone, and whatever `work` raises.
    """
    task = asyncio.current_task()
    assert task is not None
    others = task.cancelling()
    is_gone = False

    def on_gone(listening: "asyncio.Task[None]") -> None:
        nonlocal is_gone
        if not listening.cancelled():
            is_gone = True
            task.cancel()

    listening = asyncio.get_running_loop().create_task(_gone(receive))
    listening.add_done_callback(on_gone)
    try:
        return await work
    except asyncio.CancelledError:
        # As asyncio.timeout does: somebody else may have cancelled us at the same time, and goes first.
        if is_gone and task.uncancel() <= others:
            raise ClientGone from None
        raise
    finally:
        listening.remove_done_callback(on_gone)
        listening.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
