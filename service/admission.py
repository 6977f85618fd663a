"""Whether a request can be answered in time, from what waits and how long things take."""

import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from service.deadline import Deadline
from service.durations import Durations
from service.estimates import Margin, Spread
from service.running import Running

LONGEST_RETRY_S = 60
NEAR = 0.5  # of the time left: what was expected to take less says nothing about waits that come too late
PEOPLE = 1.0  # of a picture, before any was searched
DEVIATIONS = 2.0  # of the number of people ahead, by which they may be more than expected
ROUNDING = 0.01  # of a batch: an expected number of people is no whole one

Kind = TypeVar("Kind", bound=Hashable)
Queued = Iterable[tuple[Hashable, bool, int]]  # kind, urgency and number of items


class Refused(Exception):
    """The request is not taken; it may be sent again after `retry_after_s`."""

    def __init__(self, detail: str, wait_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = min(max(math.ceil(wait_s), 1), LONGEST_RETRY_S)


class Overloaded(Refused):
    """Too much waits already."""


class DeadlineTooNear(Refused):
    """What waits takes longer than the time given."""


@dataclass(frozen=True)
class Bounds:
    """What may wait at once."""

    requests: int
    items: int  # of one kind
    bytes: int


@dataclass
class Hold:
    """Bytes kept in memory for one request."""

    bytes: int = 0


@dataclass(frozen=True)
class Work:
    """What a request asks of a model, and the seconds of what comes before and after it."""

    kind: Hashable  # model, and way it is run
    count: int
    is_urgent: bool = False
    before_s: float = 0.0  # to decode, with the wait for a thread
    after_s: float = 0.0  # to encode, likewise
    then: Hashable | None = None  # kind of the work with everyone whom this one finds
    is_begun: bool = False  # it is such work, and keeps the place in line that the request had


@dataclass(frozen=True)
class Promise:
    """What a work that was taken is expected to take until it is computed."""

    at: float  # s of the clock
    wait_s: float
    is_near: bool  # to the end of the time given


@dataclass
class Admission:
    """Counts what was taken and is not answered, and refuses at once what would come too late.

    One rule for one item or sixty, whatever the kind. A picture whose people have to be found first counts
    for as many of them as pictures had of late, until it is known how many there are.

    max_batch: largest batch of a kind. queued: what waits for the model. units: of the model, for batches
    run side by side, as the batcher has it.
    """

    bounds: Bounds
    max_batch: Callable[[Hashable], int]
    queued: Callable[[], Queued]
    clock: Callable[[], float] = time.monotonic
    units: int = 1
    requests: int = 0
    bytes: int = 0
    coming: Counter[tuple[Hashable, bool]] = field(default_factory=Counter)  # admitted, and not yet queued
    searched: Counter[tuple[Hashable, Hashable, bool]] = field(default_factory=Counter)  # people not counted
    times: Durations = field(init=False)
    people: dict[Hashable, Spread] = field(default_factory=dict)  # of a picture, by the kind that finds them
    margin: Margin = field(default_factory=Margin)  # on expected waits, which are off either way
    _running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.times = Durations(self.clock)
        self._running = Running(self.clock, self.units)

    @contextmanager
    def request(self) -> Iterator[Hold]:
        """A place for a request and for its bytes. raises: Overloaded."""
        if self.requests >= self.bounds.requests:
            detail = f"{self.requests} requests are being answered, which is the limit; try later"
            raise Overloaded(detail, self.drained_s())
        hold = Hold()
        self.requests += 1
        try:
            yield hold
        finally:
            self.requests -= 1
            self.bytes -= hold.bytes

    def keep(self, hold: Hold, more_bytes: int) -> None:
        """Counts bytes of a request; negative when they are let go. raises: Overloaded."""
        if more_bytes > 0 and self.bytes + more_bytes > self.bounds.bytes:
            detail = f"pictures of {self.bytes >> 20} MiB are waiting, near the limit; try later"
            raise Overloaded(detail, self.drained_s())
        self.bytes += more_bytes
        hold.bytes += more_bytes

    @contextmanager
    def places(self, work: Work, deadline: Deadline) -> Iterator[Promise]:
        """Places for the items of a work until they are queued. raises: Overloaded, DeadlineTooNear."""
        waiting = self._items_ahead(urgent=False)
        self._check_room(work, waiting)
        goes_last = not work.is_begun and not work.is_urgent
        wait_s = self._wait_behind(waiting, work) if goes_last else self.wait_s(work)
        promise = self._check_time(work, deadline, wait_s)
        with _Counted(self.coming, (work.kind, work.is_urgent), work.count), self.searching(work):
            yield promise

    def learn(self, promise: Promise, *, is_done: bool) -> None:
        """The work that was promised is done, or was given up, which tells something if that was late."""
        took_s = self.clock() - promise.at
        if promise.is_near and (is_done or took_s > promise.wait_s):
            self.margin.observe(took_s / promise.wait_s)

    def searching(self, work: Work) -> AbstractContextManager[None]:
        """Until it is known how many people the pictures of a work show."""
        if work.then is None:
            return nullcontext()
        return _Counted(self.searched, (work.kind, work.then, work.is_urgent), work.count)

    def found(self, kind: Hashable, people: int) -> None:
        """So many were found in a picture."""
        self.people.setdefault(kind, Spread()).observe(people)

    def people_expected(self, kind: Hashable) -> float:
        """In a picture that is searched, from those of late."""
        return self.people[kind].mean(PEOPLE) if kind in self.people else PEOPLE

    def wait_s(self, work: Work) -> float:
        """Seconds until a work that comes now would be done.

        It is decoded while what is ahead is computed; then its items join the last batch of their kind, or
        make one of their own when they come later than that. Of a work that is begun nothing is ahead but
        the batch that runs.
        """
        return self._wait_behind({} if work.is_begun else self._items_ahead(urgent=work.is_urgent), work)

    def drained_s(self) -> float:
        """Seconds until all that waits is done."""
        return self._queue_s(self._items_ahead(urgent=False))

    def _wait_behind(self, ahead: Mapping[Hashable, float], work: Work) -> float:
        if not work.count:
            return work.before_s + work.after_s
        together, own_s, last_s = dict(ahead), 0.0, 0.0
        for kind, count in self._items(work):
            together[kind] = together.get(kind, 0.0) + count
            own_s += self._seconds(kind, max(count / self.units, min(count, 1)))
            if self.units > 1:
                # One of them computes the batch that it joins, when all have computed the others.
                joined_s = self._seconds(kind, min(together[kind], self.max_batch(kind)))
                last_s += joined_s * (1 - 1 / self.units)
        return max(self._queue_s(together) + last_s, work.before_s + own_s) + work.after_s

    @contextmanager
    def running(self, kind: Hashable, count: int, units: int = 1) -> Iterator[None]:
        """While a batch of a kind runs; how long it takes is learned, unless it fails.

        When something waited already, it counts from the end of the batch before: what lies between them is
        as much a part of the wait.
        """
        batch = self._running.begin(kind, count, units)
        try:
            yield
            self.observe(kind, count, self.clock() - batch.since)
        finally:
            self._running.end(batch, is_waited_for=any(count for _, _, count in self.queued()))

    def batch_s(self, kind: Hashable, count: int) -> float:
        """Seconds that nearly all batches of so many items stay below; 0 where that is not known."""
        return 0.0 if self.times.is_doubtful(kind) else self.times.predict(kind, count) * self.margin.factor

    def observe(self, kind: Hashable, count: int, seconds: float) -> None:
        """A batch of a kind took so long."""
        self.times.observe(kind, count, seconds)

    def _check_room(self, work: Work, waiting: Mapping[Hashable, float]) -> None:
        for kind, count in self._items(work):
            if waiting.get(kind, 0.0) + count > self.bounds.items:
                more = f"{count:.0f} more would exceed {self.bounds.items}"
                detail = f"{waiting.get(kind, 0.0):.0f} items are waiting, and {more}; try later"
                raise Overloaded(detail, self.drained_s())

    def _check_time(self, work: Work, deadline: Deadline, wait_s: float) -> Promise:
        left_s = max(deadline.left_s(), 0.0)
        needed_s = wait_s  # of what is begun nothing is lost for an estimate that is a little off
        if not work.is_begun:
            needed_s = wait_s * self.margin.factor + self._spread_s(work)
        if needed_s > left_s and not self._is_trial(work):
            raise DeadlineTooNear(
                f"the answer would take about {wait_s * 1000:.0f} ms, but {left_s * 1000:.0f} ms are left of "
                f"{deadline.timeout_ms} ms; allow more time by X-Timeout-Ms, or try later",
                needed_s - left_s,
            )
        computed_s = wait_s - work.after_s
        return Promise(self.clock(), computed_s, is_near=0 < computed_s > NEAR * left_s)

    def _is_trial(self, work: Work) -> bool:
        """Whether a work is taken to see how long it takes: nobody is before it, none was of late."""
        is_idle = not self._running and not any(self._items_ahead(urgent=False).values())
        return is_idle and self.times.is_doubtful(work.kind)

    def _items(self, work: Work) -> list[tuple[Hashable, float]]:
        """Items of each kind that a work has or is expected to have."""
        own: list[tuple[Hashable, float]] = [(work.kind, work.count)]
        if work.then is not None:
            own.append((work.then, work.count * self.people_expected(work.kind)))
        return own

    def _items_ahead(self, *, urgent: bool) -> dict[Hashable, float]:
        """Items of each kind that go before what comes now."""
        coming = [(kind, is_urgent, count) for (kind, is_urgent), count in self.coming.items()]
        found = [
            (then, is_urgent, pictures * self.people_expected(kind))
            for (kind, then, is_urgent), pictures in self.searched.items()
        ]
        ahead: dict[Hashable, float] = {}
        for kind, is_urgent, count in [*coming, *found, *self.queued()]:
            if count and (is_urgent or not urgent):
                ahead[kind] = ahead.get(kind, 0.0) + count
        return ahead

    def _spread_s(self, work: Work) -> float:
        """By how much longer it may well take, as pictures that are searched show more people than usual."""
        if not self.people:
            return 0.0
        squares = 0.0
        for (kind, then, _), pictures in [
            *self.searched.items(),
            ((work.kind, work.then, False), work.count),
        ]:
            if kind in self.people:
                squares += pictures * self.people[kind].variance() * self.times.each_s(then) ** 2
        return DEVIATIONS * math.sqrt(squares)

    def _queue_s(self, ahead: Mapping[Hashable, float]) -> float:
        waiting_s = sum(self._seconds(kind, count) for kind, count in ahead.items())
        return self._running.left_s(self.times.predict) + waiting_s / self.units

    def _seconds(self, kind: Hashable, items: float) -> float:
        """Of so many items in as few batches as they fit in, the last filled up as batches were of late.

        What comes later joins that one too, and makes it take longer.
        """
        if not items:
            return 0.0
        size = self.max_batch(kind)
        batches = max(math.ceil(items / size - ROUNDING), 1)
        usual = (batches - 1) * size + min(self.times.usual(kind), size)
        return self.times.predict(kind, max(items, usual), batches)


class _Counted(AbstractContextManager[None], Generic[Kind]):
    """So many of a kind are counted within it."""

    def __init__(self, counter: Counter[Kind], kind: Kind, count: int) -> None:
        self._counter, self._kind, self._count = counter, kind, count

    def __enter__(self) -> None:
        self._counter[self._kind] += self._count

    def __exit__(self, *_: object) -> None:
        self._counter[self._kind] -= self._count
