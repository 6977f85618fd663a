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
    working = asyncio.ensure_future(work)
    listening = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        listening.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        elif not working.cancelled():
            working.exception()  # seen, also when we are cancelled at the moment in which it is raised


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
