"""How long work takes, learned from work that was done."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from service.estimates import Line

STALE_S = 2.0  # what nothing has confirmed for so long is doubted
DOUBTED = 0.01  # of its weight is left beside the next that is done then
STALL = 3.0  # times as long as expected: what goes beyond was the machine's, not the work's
ENOUGH = 3.0  # works, from which on it is known what to expect


@dataclass
class Durations:
    """Seconds of work by its kind and size: of batches by their items, of pictures by their pixels.

    One stall teaches little, and what is old is doubted. Else a stall could close the service for good to
    requests with little time: all would be refused, and nothing would run that could show how long they take.
    """

    clock: Callable[[], float] = time.monotonic
    lines: dict[Hashable, Line] = field(default_factory=dict)
    _seen: dict[Hashable, float] = field(default_factory=dict)  # when work of a kind ended last

    def observe(self, kind: Hashable, size: float, seconds: float) -> None:
        """Work of this size, done just now, took so long."""
        begun_at = self.clock() - seconds
        line = self.lines.setdefault(kind, Line())
        if line.weight >= ENOUGH:
            seconds = min(seconds, STALL * line.predict(size))
        if self._is_old(kind, begun_at):
            line.weigh(DOUBTED)
        line.observe(size, seconds)
        self._seen[kind] = self.clock()

    def is_doubtful(self, kind: Hashable) -> bool:
        """Whether what is known of the kind is old."""
        return self._is_old(kind, self.clock())

    def _is_old(self, kind: Hashable, at: float) -> bool:
        return kind in self._seen and at - self._seen[kind] > STALE_S

    def predict(self, kind: Hashable, size: float, starts: int = 1) -> float:
        """Of work of this size in all, begun so many times; 0 before there was any."""
        return self.lines[kind].predict(size, starts) if kind in self.lines else 0.0

    def each_s(self, kind: Hashable) -> float:
        """Of one item more."""
        return self.lines[kind].line()[0] if kind in self.lines else 0.0

    def usual(self, kind: Hashable) -> float:
        """The size that was usual of late."""
        return self.lines[kind].mean() if kind in self.lines else 0.0
