"""Whether a request can be answered in time, from what waits and how long batches take."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.deadline import Deadline

LONGEST_RETRY_S = 60


class Refused(Exception):
    """The request is not taken; it may be sent again after `retry_after_s`."""

    def __init__(self, detail: str, wait_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = min(max(math.ceil(wait_s), 1), LONGEST_RETRY_S)


class Overloaded(Refused):
    """Too much waits already."""


class DeadlineTooNear(Refused):
    """What waits takes longer than the time given."""


@dataclass
class BatchTime:
    """Seconds of a batch of `n` items as `each * n + start`: least squares in which old batches fade."""

    fade: float = 0.95
    weight: float = 0.0
    n: float = 0.0
    nn: float = 0.0
    t: float = 0.0
    nt: float = 0.0

    def observe(self, n: int, seconds: float) -> None:
        self.weight = self.fade * self.weight + 1
        self.n = self.fade * self.n + n
        self.nn = self.fade * self.nn + n * n
        self.t = self.fade * self.t + seconds
        self.nt = self.fade * self.nt + n * seconds

    def line(self) -> tuple[float, float]:
        """Seconds for each item, and to start: 0 while all batches had one size. Neither is negative."""
        spread = self.weight * self.nn - self.n * self.n
        if spread <= 1e-6 * self.weight * self.nn:
            return (self.t / self.n if self.n else 0.0), 0.0
        each = (self.weight * self.nt - self.n * self.t) / spread
        each = min(max(each, 0.0), self.t / self.n)
        return each, max((self.t - each * self.n) / self.weight, 0.0)

    def predict(self, items: int, max_batch: int) -> float:
        """Seconds for so many items in as few batches as they fit in."""
        each, start = self.line()
        return each * items + start * math.ceil(items / max_batch)


@dataclass(frozen=True)
class Bounds:
    """What may wait at once."""

    requests: int
    items: int
    bytes: int


@dataclass
class Hold:
    """Bytes kept in memory for one request."""

    bytes: int = 0


@dataclass
class Admission:
    """Counts what was taken and is not answered, and refuses at once what would come too late.

    One rule for one item or sixty, whatever the kind (model, shape and way it is run).
    """

    bounds: Bounds
    max_batch: Callable[[Hashable], int]
    busy_for_s: Callable[[], float]  # how long the batch that runs has been running
    requests: int = 0
    items: Counter[tuple[Hashable, bool]] = field(default_factory=Counter)  # by kind and urgency
    bytes: int = 0
    times: dict[Hashable, BatchTime] = field(default_factory=dict)

    @contextmanager
    def request(self) -> Iterator[Hold]:
        """A place for a request and for its bytes. raises: Overloaded."""
        if self.requests >= self.bounds.requests:
            raise Overloaded(
                f"{self.requests} requests are being answered, which is the limit; try later", self.wait_s()
            )
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
            raise Overloaded(
                f"pictures of {self.bytes >> 20} MiB are waiting, near the limit; try later", self.wait_s()
            )
        self.bytes += more_bytes
        hold.bytes += more_bytes

    @contextmanager
    def work(self, kind: Hashable, count: int, deadline: Deadline, *, urgent: bool) -> Iterator[None]:
        """Places for `count` items of a kind until they are done. raises: Overloaded, DeadlineTooNear."""
        waiting = self.items.total()
        if waiting + count > self.bounds.items:
            raise Overloaded(
                f"{waiting} items are waiting, and {count} more would exceed {self.bounds.items}; try later",
                self.wait_s(),
            )
        wait_s, left_s = self.wait_s(kind, count, urgent=urgent), max(deadline.left_s(), 0.0)
        if wait_s > left_s:
            raise DeadlineTooNear(
                f"the answer would take about {wait_s * 1000:.0f} ms, but {left_s * 1000:.0f} ms are left of "
                f"{deadline.timeout_ms} ms; allow more time by X-Timeout-Ms, or try later",
                wait_s - left_s,
            )
        self.items[kind, urgent] += count
        try:
            yield
        finally:
            self.items[kind, urgent] -= count

    def wait_s(self, kind: Hashable = None, count: int = 0, *, urgent: bool = False) -> float:
        """Seconds until `count` more items of a kind would be done."""
        ahead = Counter[Hashable]({kind: count} if count else {})
        for (other, is_urgent), items in self.items.items():
            if is_urgent or not urgent:
                ahead[other] += items
        known = {kind: items for kind, items in ahead.items() if kind in self.times}
        total_s = sum(self._seconds(kind, items) for kind, items in known.items())
        if urgent:
            return total_s
        # What runs was counted too, and is partly done; but a batch that hangs must not shorten the wait.
        one_batch_s = max(
            (self._seconds(kind, min(n, self.max_batch(kind))) for kind, n in known.items()), default=0.0
        )
        return total_s - min(self.busy_for_s(), one_batch_s)

    def _seconds(self, kind: Hashable, items: int) -> float:
        return self.times[kind].predict(items, self.max_batch(kind))

    def observe(self, kind: Hashable, count: int, seconds: float) -> None:
        """A batch of a kind took so long."""
        self.times.setdefault(kind, BatchTime()).observe(count, seconds)
