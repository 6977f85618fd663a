"""A dynamic batcher in pure asyncio: it knows neither HTTP nor models."""

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

CLOCK_TICK_S = 1e-6  # a shorter wait may end, by rounding, before the clock has moved


class QueueFull(Exception):
    """There is no room for so many items."""


class Closed(Exception):
    """The batcher takes nothing more."""


class Expired(Exception):
    """The item's time was over before its batch began."""


@dataclass(eq=False)
class Ticket(Generic[Key, Item, Result]):
    """One item on its way. Its owner awaits `result`, or cancels it to take the item back."""

    key: Key
    item: Item
    result: "asyncio.Future[Result]"
    order: tuple[bool, int]  # (not urgent, number): the smallest goes first
    arrived_at: float  # seconds of the batcher's clock, as all that follow
    expires_at: float
    started_at: float | None = None
    finished_at: float | None = None

    def is_wanted(self, now: float) -> bool:
        if self.expires_at <= now:
            self.fail(Expired())
        return not self.result.done()

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class Batcher(Generic[Key, Item, Result]):
    """Runs `run(key, items)` on whatever waits, whenever it is free; each item gets its own result.

    One batch runs at a time, and all its items have one key: that of the item next in line, urgent before
    others, then by arrival. So no key starves, and an urgent item waits behind at most one batch. Nothing
    waits for a batch to fill, unless `max_wait_s` says how long the oldest item may. Of a batch that fails,
    both halves are run again, down to the item that cannot be run: it alone gets the exception. `is_fatal`
    tells the failures after which that is useless.

    run: the results, one for each item, in order.
    max_batch: largest batch of a key.
    """

    def __init__(
        self,
        run: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: Callable[[Key], int],
        max_waiting: int,
        max_wait_s: float = 0.0,
        is_fatal: Callable[[Exception], bool] = lambda error: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._max_batch, self._max_waiting = run, max_batch, max_waiting
        self._max_wait_s, self._is_fatal, self._clock = max_wait_s, is_fatal, clock
        self._lanes: dict[tuple[Key, bool], OrderedDict[Ticket[Key, Item, Result], None]] = {}
        self._numbers = itertools.count()
        self._arrival = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._is_closed = False
        self._failure: Exception | None = None

    def submit(
        self, key: Key, items: Sequence[Item], *, expires_at: float = float("inf"), urgent: bool = False
    ) -> list[Ticket[Key, Item, Result]]:
        """A ticket for each item, in order; all of them are taken, or none.

        raises: QueueFull, Closed, the failure given to `abandon`. A ticket's `result` raises Expired, or what
        `run` raised.
        """
        if self._failure is not None:
            raise self._failure
        if self._is_closed:
            raise Closed
        if self.waiting() + len(items) > self._max_waiting:
            raise QueueFull
        lane = self._lanes.setdefault((key, urgent), OrderedDict())
        loop, now = asyncio.get_running_loop(), self._clock()
        tickets = [
            Ticket(key, item, loop.create_future(), (not urgent, next(self._numbers)), now, expires_at)
            for item in items
        ]
        for ticket in tickets:
            lane[ticket] = None
            ticket.result.add_done_callback(partial(_forget, lane, ticket))
        self._arrival.set()
        if self._worker is None and tickets:
            self._worker = loop.create_task(self._work())
        return tickets

    def waiting(self, belongs: Callable[[Key], bool] = lambda key: True) -> int:
        """Items not yet in a batch."""
        return sum(len(lane) for (key, _), lane in self._lanes.items() if belongs(key))

    def oldest_age_s(self, belongs: Callable[[Key], bool] = lambda key: True) -> float:
        """How long the oldest waiting item has waited; 0 when none does."""
        heads = [next(iter(lane)) for (key, _), lane in self._lanes.items() if lane and belongs(key)]
        return max((self._clock() - ticket.arrived_at for ticket in heads), default=0.0)

    async def drain(self) -> None:
        """Takes nothing more and returns when everything taken has its result."""
        self._is_closed = True
        self._arrival.set()
        if self._worker is not None:
            await self._worker

    def abandon(self, error: Exception) -> None:
        """Everything that waits, and all that comes, gets `error` for its result; what runs goes on."""
        self._failure = error
        for lane in self._lanes.values():
            for ticket in lane:
                ticket.fail(error)

    async def _work(self) -> None:
        while (head := self._head()) is not None:
            left_s = self._time_to_fill_s(head.key)
            if left_s > CLOCK_TICK_S:
                await self._next_arrival(left_s)
            elif batch := self._take(head.key):
                await self._run_batch(batch)
        self._worker = None

    def _head(self) -> Ticket[Key, Item, Result] | None:
        now = self._clock()
        for lane in self._lanes.values():
            while lane and not next(iter(lane)).is_wanted(now):
                lane.popitem(last=False)
        self._lanes = {name: lane for name, lane in self._lanes.items() if lane}
        return min((next(iter(lane)) for lane in self._lanes.values()), key=lambda t: t.order, default=None)

    def _time_to_fill_s(self, key: Key) -> float:
        if self._is_closed or self.waiting(key.__eq__) >= self._max_batch(key):
            return 0.0
        return self._max_wait_s - self.oldest_age_s(key.__eq__)

    async def _next_arrival(self, timeout_s: float) -> None:
        self._arrival.clear()
        try:
            await asyncio.wait_for(self._arrival.wait(), timeout_s)
        except TimeoutError:
            return

    def _line(self, key: Key) -> Iterator[Ticket[Key, Item, Result]]:
        for urgent in (True, False):
            lane = self._lanes.get((key, urgent))
            while lane:
                yield lane.popitem(last=False)[0]

    def _take(self, key: Key) -> list[Ticket[Key, Item, Result]]:
        """The next batch of a key, without those that were taken back or came too late."""
        now, size = self._clock(), self._max_batch(key)
        batch: list[Ticket[Key, Item, Result]] = []
        for ticket in self._line(key):
            if ticket.is_wanted(now):
                ticket.started_at = now
                batch.append(ticket)
            if len(batch) == size:
                break
        return batch

    async def _run_batch(self, batch: Sequence[Ticket[Key, Item, Result]]) -> None:
        try:
            results = await self._run(batch[0].key, [ticket.item for ticket in batch])
            pairs = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001  # what `run` raises belongs to the submitters
            await self._halve(batch, error)
            return
        now = self._clock()
        for ticket, result in pairs:
            ticket.finished_at = now
            if not ticket.result.done():
                ticket.result.set_result(result)

    async def _halve(self, batch: Sequence[Ticket[Key, Item, Result]], error: Exception) -> None:
        if len(batch) == 1 or self._is_fatal(error):
            for ticket in batch:
                ticket.fail(error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            wanted = [ticket for ticket in half if not ticket.result.done()]
            if wanted:
                await self._run_batch(wanted)


def _forget(
    lane: OrderedDict[Ticket[Key, Item, Result], None], ticket: Ticket[Key, Item, Result], *_: object
) -> None:
    """Takes a ticket whose result is settled, most likely cancelled, out of its lane."""
    lane.pop(ticket, None)
