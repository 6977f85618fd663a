"""A dynamic batcher in pure asyncio: it knows neither HTTP nor models."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar, cast

from service.line import Expired, Line, Place, Ticket

__all__ = ["Batcher", "Closed", "Expired", "Place", "QueueFull", "Ticket"]

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")

CLOCK_TICK_S = 1e-6  # a shorter wait may end, by rounding, before the clock has moved


class QueueFull(Exception):
    """There is no room for so many items."""


class Closed(Exception):
    """The batcher takes nothing more."""


class Batcher(Generic[Key, Item, Prepared, Result]):
    """Runs batches of whatever waits, whenever it is free; each item gets its own result.

    All items of a batch have one key: that of the item next in line, urgent before others, then by arrival of
    the request. So no key starves, and an urgent item waits behind at most one batch. Nothing waits for a
    batch to fill, unless `max_wait_s` says how long the oldest item of a key may; urgent ones never do. An
    item that would be too late when its batch is done is not begun, so that it costs those behind it nothing.
    Of a batch that fails, both halves are run again, down to the item that cannot be run: it alone gets the
    exception. `is_fatal` tells the failures after which that is useless.

    A model may have several units, such as cores. What waits is divided among those that are free, and their
    batches run side by side; each begins as soon as there is a unit for it, and leaves half a batch for every
    unit that is busy, lest that finds next to nothing when it is free. An item that is alone has all units.

    run: of a key, items, what `prepare` made of them or None, and the number of units, 1 or all: the results,
        one for each item, in order.
    prepare: called while a batch runs, for the next one once that is full. Its items stay in line until the
        model is free; when others are taken then, what was prepared is not used.
    max_batch: largest batch of a key.
    takes_s: seconds that a batch of a key with so many items is expected to take.
    max_waiting: items of one key that may wait.
    units: of the model; 1 runs one batch at a time.
    """

    def __init__(
        self,
        run: Callable[[Key, Sequence[Item], Prepared | None, int], Awaitable[Sequence[Result]]],
        *,
        prepare: Callable[[Key, Sequence[Item]], Awaitable[Prepared]] | None = None,
        max_batch: Callable[[Key], int],
        takes_s: Callable[[Key, int], float] = lambda key, count: 0.0,
        max_waiting: int,
        max_wait_s: float = 0.0,
        units: int = 1,
        is_fatal: Callable[[Exception], bool] = lambda error: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._prepare = run, prepare
        self._max_batch, self._takes_s, self._max_waiting = max_batch, takes_s, max_waiting
        self._max_wait_s, self._is_fatal = max_wait_s, is_fatal
        self._clock = clock
        self.line: Line[Key, Item, Result] = Line(clock)
        self._free = units
        self._running: list[Sequence[Ticket[Key, Item, Result]]] = []
        self._ahead: tuple[Sequence[Ticket[Key, Item, Result]], asyncio.Future[Prepared]] | None = None
        self._arrival = asyncio.Event()
        self._workers: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._failure: Exception | None = None

    def submit(
        self,
        key: Key,
        items: Sequence[Item],
        *,
        expires_at: float = float("inf"),
        urgent: bool = False,
        place: Place | None = None,
    ) -> list[Ticket[Key, Item, Result]]:
        """A ticket for each item, in order; all of them are taken, or none.

        place: of an earlier ticket of the same request, which these take over; the end of the line if None.
        raises: QueueFull, Closed, the failure given to `abandon`. A ticket's `result` raises Expired, or what
        `run` raised.
        """
        if self._failure is not None:
            raise self._failure
        if self._is_closed:
            raise Closed
        if self.line.waiting(key.__eq__) + len(items) > self._max_waiting:
            raise QueueFull
        tickets = self.line.join(key, items, expires_at=expires_at, urgent=urgent, place=place)
        self._arrival.set()
        self._begin()
        self._look_ahead()
        return tickets

    async def drain(self) -> None:
        """Takes nothing more and returns when everything taken has its result."""
        self._is_closed = True
        self._arrival.set()
        while self._workers:
            await asyncio.gather(*self._workers)

    def abandon(self, error: Exception) -> None:
        """Everything that waits or runs, and all that comes, gets `error` for its result."""
        self._failure = error
        for ticket in itertools.chain(*self._running, self.line):
            ticket.fail(error)

    def _begin(self) -> None:
        """Somebody looks for a batch, if there is anything to find and to run it on."""
        is_looked_for = len(self._workers) > len(self._running)
        if self._free and not is_looked_for and self.line.waiting():
            self._workers.add(asyncio.get_running_loop().create_task(self._work()))

    async def _work(self) -> None:
        try:
            while self._free and (choice := self._next()) is not None:
                key, left_s = choice
                if left_s > 0:
                    await self._next_arrival(left_s)
                    continue
                size, units = self._share(key)
                if batch := self.line.take(key, size, self._takes_s(key, size)):
                    await self._run_on(units, batch)
        finally:
            self._workers.remove(cast("asyncio.Task[None]", asyncio.current_task()))
            if not self._running:
                self._ahead = None

    async def _run_on(self, units: int, batch: Sequence[Ticket[Key, Item, Result]]) -> None:
        self._free -= units
        self._running.append(batch)
        prepared = self._prepared(batch)
        self._begin()  # there may be units left, and items
        self._look_ahead()
        try:
            await self._run_batch(batch, prepared, units)
        finally:
            self._running.remove(batch)
            self._free += units

    def _share(self, key: Key) -> tuple[int, int]:
        """How many items of a key are run in one batch now, and on how many units."""
        waiting, all_waiting = self.line.waiting(key.__eq__), self.line.waiting()
        batches = max(1, min(waiting, self._free * waiting // all_waiting))
        most = self._max_batch(key)
        half = -(-most // 2)
        left = max(waiting - half * len(self._running), half)
        size = min(most, left, -(-waiting // batches))
        is_alone = all_waiting == 1 and not self._running
        return size, self._free if is_alone else 1

    def _next(self) -> tuple[Key, float] | None:
        """The key that is run next, and for how long its items may still wait for others."""
        waits = [(head.key, self._time_to_fill_s(head)) for head in self.line.heads()]
        return min(waits, key=lambda wait: wait[1], default=None)  # of equals the first in line

    def _time_to_fill_s(self, head: Ticket[Key, Item, Result]) -> float:
        belongs = head.key.__eq__
        if head.is_urgent or self._is_closed or self.line.waiting(belongs) >= self._max_batch(head.key):
            return 0.0
        left_s = self._max_wait_s - self.line.oldest_age_s(belongs)
        return left_s if left_s > CLOCK_TICK_S else 0.0

    async def _next_arrival(self, timeout_s: float) -> None:
        self._arrival.clear()
        try:
            await asyncio.wait_for(self._arrival.wait(), timeout_s)
        except TimeoutError:
            return

    def _look_ahead(self) -> None:
        """While a batch runs, begins to prepare the next one as soon as it is full."""
        if self._prepare is None or not self._running:
            return
        if self._ahead is not None and all(ticket.waits for ticket in self._ahead[0]):
            return
        choice = self._next()
        if choice is None:
            return
        key, size = choice[0], self._max_batch(choice[0])
        batch = self.line.first(key, size)
        if len(batch) == size:
            preparing = asyncio.ensure_future(self._prepare(key, [ticket.item for ticket in batch]))
            preparing.add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )  # may not be asked for
            self._ahead = batch, preparing

    def _prepared(self, batch: Sequence[Ticket[Key, Item, Result]]) -> Prepared | None:
        """What was made of this very batch, if it is ready; the model waits for nothing."""
        if self._ahead is None or self._ahead[0] != batch:
            return None
        (_, preparing), self._ahead = self._ahead, None
        # When it failed, `run` meets the cause again, and then it is known whose it is.
        is_ready = preparing.done() and not preparing.cancelled() and preparing.exception() is None
        return preparing.result() if is_ready else None

    async def _run_batch(
        self, batch: Sequence[Ticket[Key, Item, Result]], prepared: Prepared | None, units: int
    ) -> None:
        try:
            results = await self._run(batch[0].key, [ticket.item for ticket in batch], prepared, units)
            pairs = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001  # what `run` raises belongs to the submitters
            await self._halve(batch, error, units)
            return
        now = self._clock()
        for ticket, result in pairs:
            ticket.finished_at = now
            if not ticket.result.done():
                ticket.result.set_result(result)

    async def _halve(self, batch: Sequence[Ticket[Key, Item, Result]], error: Exception, units: int) -> None:
        if len(batch) == 1 or self._is_fatal(error):
            for ticket in batch:
                ticket.fail(error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            wanted = [ticket for ticket in half if not ticket.result.done()]
            if wanted:
                await self._run_batch(wanted, None, units)
