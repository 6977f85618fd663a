"""The line before the model: tickets by key and urgency, in order of arrival."""

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Expired(Exception):
    """The item's time was over before its batch began, or would have been before that could end."""


class Place(NamedTuple):
    """Where in line a request stands: what it asks for next goes before all that came after it."""

    number: int  # by arrival
    arrived_at: float  # seconds of the line's clock


@dataclass(eq=False)
class Ticket(Generic[Key, Item, Result]):
    """One item on its way. Its owner awaits `result`, or cancels it to take the item back."""

    key: Key
    item: Item
    result: "asyncio.Future[Result]"
    is_urgent: bool
    place: Place
    expires_at: float  # seconds of the line's clock, as all that follow
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def order(self) -> tuple[bool, int]:
        """The smallest goes first."""
        return not self.is_urgent, self.place.number

    @property
    def waits(self) -> bool:
        return self.started_at is None and not self.result.done()

    def is_wanted(self, at: float) -> bool:
        """Whether its result would be of use then."""
        if self.expires_at <= at:
            self.fail(Expired())
        return not self.result.done()

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class Line(Generic[Key, Item, Result]):
    """Tickets that wait. One whose result is settled, most likely cancelled, leaves by itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._lanes: dict[tuple[Key, bool], OrderedDict[Ticket[Key, Item, Result], None]] = {}

    def __iter__(self) -> Iterator[Ticket[Key, Item, Result]]:
        return itertools.chain(*self._lanes.values())

    def join(
        self,
        key: Key,
        items: Sequence[Item],
        *,
        expires_at: float,
        urgent: bool,
        place: Place | None = None,
    ) -> list[Ticket[Key, Item, Result]]:
        """A ticket for each item, in order, at this place or at the end of the line."""
        loop, now = asyncio.get_running_loop(), self._clock()
        lane = self._lanes.setdefault((key, urgent), OrderedDict())
        tickets = [
            Ticket(
                key, item, loop.create_future(), urgent, place or Place(next(self._numbers), now), expires_at
            )
            for item in items
        ]
        behind = [] if place is None else _behind(place, lane)
        for ticket in tickets:
            lane[ticket] = None
            ticket.result.add_done_callback(lambda _, ticket=ticket: lane.pop(ticket, None))  # type: ignore[misc]
        for other in behind:
            lane.move_to_end(other)
        return tickets

    def heads(self) -> list[Ticket[Key, Item, Result]]:
        """The first wanted ticket of each key and urgency, next in line first."""
        now = self._clock()
        for lane in self._lanes.values():
            while lane and not next(iter(lane)).is_wanted(now):
                lane.popitem(last=False)
        self._lanes = {name: lane for name, lane in self._lanes.items() if lane}
        return sorted((next(iter(lane)) for lane in self._lanes.values()), key=lambda head: head.order)

    def first(self, key: Key, count: int, takes_s: float = 0.0) -> list[Ticket[Key, Item, Result]]:
        """The first so many tickets of a key, without those that were taken back, or come too late for a
        batch that takes so long.
        """
        done_at = self._clock() + takes_s
        lanes = (self._lanes.get((key, urgent), OrderedDict()) for urgent in (True, False))
        return list(itertools.islice((t for lane in lanes for t in lane if t.is_wanted(done_at)), count))

    def take(self, key: Key, count: int, takes_s: float = 0.0) -> list[Ticket[Key, Item, Result]]:
        """The same, taken out of the line."""
        tickets, now = self.first(key, count, takes_s), self._clock()
        for ticket in tickets:
            del self._lanes[key, ticket.is_urgent][ticket]
            ticket.started_at = now
        return tickets

    def lengths(self) -> Iterator[tuple[Key, bool, int]]:
        """Key, urgency and number of what waits."""
        return ((key, urgent, len(lane)) for (key, urgent), lane in self._lanes.items())

    def waiting(self, belongs: Callable[[Key], bool] = lambda key: True) -> int:
        return sum(count for key, _, count in self.lengths() if belongs(key))

    def oldest_age_s(self, belongs: Callable[[Key], bool] = lambda key: True) -> float:
        """How long the oldest ticket has waited; 0 when none does."""
        heads = [next(iter(lane)) for (key, _), lane in self._lanes.items() if lane and belongs(key)]
        return max((self._clock() - ticket.place.arrived_at for ticket in heads), default=0.0)


def _behind(
    place: Place, lane: OrderedDict[Ticket[Key, Item, Result], None]
) -> list[Ticket[Key, Item, Result]]:
    """Tickets of a lane that came later, in order."""
    later = itertools.takewhile(lambda ticket: ticket.place.number > place.number, reversed(lane))
    return list(later)[::-1]
