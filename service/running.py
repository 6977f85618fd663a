"""The batches that run at the moment."""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Batch:
    """One that runs; times in seconds of the clock."""

    kind: Hashable
    count: int
    units: int  # of the model, that it runs on
    begun: float
    since: float  # the end of the batch before, when something waited then, or its begin


@dataclass
class Running:
    """Keeps what runs. units: of the model, as the batcher has them."""

    clock: Callable[[], float]
    units: int
    _batches: list[Batch] = field(default_factory=list)
    _waited_since: deque[float] = field(default_factory=deque)  # ends of batches, when something waited then

    def __bool__(self) -> bool:
        return bool(self._batches)

    def begin(self, kind: Hashable, count: int, units: int) -> Batch:
        """A batch of so many items begins, on a unit that was free for the longest time."""
        now = self.clock()
        since = self._waited_since.popleft() if self._waited_since else now
        batch = Batch(kind, count, units, now, since)
        self._batches.append(batch)
        return batch

    def end(self, batch: Batch, *, is_waited_for: bool) -> None:
        """A batch has ended. is_waited_for: whether another is to begin at once."""
        self._batches.remove(batch)
        if is_waited_for:
            self._waited_since.append(self.clock())
        else:
            self._waited_since.clear()

    def left_s(self, predict: Callable[[Hashable, int], float]) -> float:
        """Seconds of all units until what runs should be done; 0 for a batch that takes longer than ever."""
        now = self.clock()
        return sum(
            batch.units / self.units * max(predict(batch.kind, batch.count) - (now - batch.begun), 0.0)
            for batch in self._batches
        )
