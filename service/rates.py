"""How often somebody may ask."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.problems import Problem


@dataclass
class Rates:
    """A bucket of tokens for each name: a request takes one, and the clock fills them up again."""

    per_s: float
    burst: int  # tokens in a full bucket
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # tokens, and when there were so many

    def take(self, name: str) -> None:
        """Takes a token of this name. raises: Problem `rate-limited`, with the time until there is one."""
        now = self.clock()
        tokens, since = self._buckets.get(name, (float(self.burst), now))
        tokens = min(tokens + (now - since) * self.per_s, self.burst)
        if tokens < 1:
            detail = (
                f"this key may ask {self.per_s:g} times a second, after a pause {self.burst} times at once"
            )
            after_s = max(math.ceil((1 - tokens) / self.per_s), 1)
            raise Problem("rate-limited", f"{detail}; try later", headers={"Retry-After": str(after_s)})
        self._buckets[name] = tokens - 1, now
