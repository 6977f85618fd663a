"""Whether a request can be answered in time, from what waits and how long things take."""

import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.deadline import Deadline
from service.estimates import Line

LONGEST_RETRY_S = 60
HEADROOM = 1.1  # estimates are off by this much either way; without it half of a full queue comes too late

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
    """What a request asks of the model, and the seconds of what comes before and after it."""

    kind: Hashable  # model, and way it is run
    count: int
    is_urgent: bool = False
    before_s: float = 0.0  # to decode, with the wait for a thread
    after_s: float = 0.0  # to encode, likewise


@dataclass
class Admission:
    """Counts what was taken and is not answered, and refuses at once what would come too late.

    One rule for one item or sixty, whatever the kind.

    max_batch: largest batch of a kind. queued: what waits for the model.
    """

    bounds: Bounds
    max_batch: Callable[[Hashable], int]
    queued: Callable[[], Queued]
    clock: Callable[[], float] = time.monotonic
    requests: int = 0
    bytes: int = 0
    coming: Counter[tuple[Hashable, bool]] = field(default_factory=Counter)  # admitted, and not yet queued
    times: dict[Hashable, Line] = field(default_factory=dict)
    _running: tuple[Hashable, int, float] | None = None  # kind, items, begin of the batch that runs
    _waited_since: float | None = None  # the end of the last batch, when something waited then

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
    def places(self, work: Work, deadline: Deadline) -> Iterator[None]:
        """Places for the items of a work until they are queued. raises: Overloaded, DeadlineTooNear."""
        waiting = sum(count for kind, _, count in self._ahead() if kind == work.kind)
        if waiting + work.count > self.bounds.items:
            more = f"{work.count} more would exceed {self.bounds.items}"
            raise Overloaded(f"{waiting} items are waiting, and {more}; try later", self.drained_s())
        wait_s, left_s = self.wait_s(work), max(deadline.left_s(), 0.0)
        if wait_s * HEADROOM > left_s:
            raise DeadlineTooNear(
                f"the answer would take about {wait_s * 1000:.0f} ms, but {left_s * 1000:.0f} ms are left of "
                f"{deadline.timeout_ms} ms; allow more time by X-Timeout-Ms, or try later",
                wait_s * HEADROOM - left_s,
            )
        place = (work.kind, work.is_urgent)
        self.coming[place] += work.count
        try:
            yield
        finally:
            self.coming[place] -= work.count

    def wait_s(self, work: Work) -> float:
        """Seconds until a work that comes now would be done.

        It is decoded while what is ahead is computed; then its items join the last batch of their kind, or
        make one of their own when they come later than that.
        """
        ahead = Counter[Hashable]()
        for kind, is_urgent, count in self._ahead():
            if is_urgent or not work.is_urgent:
                ahead[kind] += count
        queue_s = self.running_left_s() + sum(self._seconds(kind, count) for kind, count in ahead.items())
        joined_s = self._seconds(work.kind, ahead[work.kind] + work.count) - self._seconds(
            work.kind, ahead[work.kind]
        )
        own_s = self._seconds(work.kind, work.count)
        return max(queue_s + joined_s, work.before_s + own_s) + work.after_s

    def drained_s(self) -> float:
        """Seconds until all that waits is done."""
        return self.wait_s(Work(None, 0))

    def running_left_s(self) -> float:
        """Seconds until the batch that runs should be done; 0 when it takes longer than ever."""
        if self._running is None:
            return 0.0
        kind, count, begun = self._running
        expected_s = self.times[kind].predict(count) if kind in self.times else 0.0
        return max(expected_s - (self.clock() - begun), 0.0)

    @contextmanager
    def running(self, kind: Hashable, count: int) -> Iterator[None]:
        """While a batch of a kind runs; how long it takes is learned, unless it fails.

        When something waited already, it counts from the end of the batch before: what lies between them is
        as much a part of the wait.
        """
        begun = self.clock()
        self._running = kind, count, begun
        try:
            yield
            since = begun if self._waited_since is None else self._waited_since
            self.observe(kind, count, self.clock() - since)
        finally:
            self._running = None
            is_waited_for = any(count for _, _, count in self.queued())
            self._waited_since = self.clock() if is_waited_for else None

    def observe(self, kind: Hashable, count: int, seconds: float) -> None:
        """A batch of a kind took so long."""
        self.times.setdefault(kind, Line()).observe(count, seconds)

    def _ahead(self) -> list[tuple[Hashable, bool, int]]:
        coming = [(kind, is_urgent, count) for (kind, is_urgent), count in self.coming.items() if count]
        return [*coming, *self.queued()]

    def _seconds(self, kind: Hashable, items: int) -> float:
        """Of so many items in as few batches as they fit in, the last filled up as batches were of late.

        What comes later joins that one too, and makes it take longer.
        """
        if not items or kind not in self.times:
            return 0.0
        time, size = self.times[kind], self.max_batch(kind)
        batches = math.ceil(items / size)
        usual = (batches - 1) * size + min(time.mean(), size)
        return time.predict(max(items, usual), batches)
