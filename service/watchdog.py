"""Notices a call that hangs."""

import asyncio
from collections.abc import Callable


async def watch(busy_for_s: Callable[[], float], limit_s: float, on_hang: Callable[[], None]) -> None:
    """Calls `on_hang` once when a call has been running for longer than `limit_s`, then returns."""
    while (busy_s := busy_for_s()) <= limit_s:  # noqa: ASYNC110  # a thread that hangs sets no event
        await asyncio.sleep(max(limit_s - busy_s, limit_s / 20))
    on_hang()
