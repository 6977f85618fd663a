"""When requests arrive that come from many clients who know nothing of each other."""

import random
from collections.abc import Iterator
from itertools import repeat


def arrivals(rate: float, chance: random.Random, *, burst: int = 1) -> Iterator[float]:
    """Seconds from the start at which requests arrive, without end: so many a second in the long run.

    One at a time they are a Poisson process: gaps are independent and exponential, of 1/rate s in the mean.
    In bursts so many come at the same instant, and the bursts are a Poisson process, as much rarer.
    """
    at_s = 0.0
    while True:
        at_s += chance.expovariate(rate / burst)
        yield from repeat(at_s, burst)
