"""Learning rate over a run, whose length is given in steps or in minutes."""

import math


def learning_rate(
    step: int, progress: float, *, peak: float, warmup_steps: int, floor: float = 0.01
) -> float:
    """Linear warm-up over steps, then a half cosine down to `floor` times the peak.

    step: counted from 0; progress: share of the run that is done, 0 to 1, by steps or by the clock.
    """
    warmup = min(1.0, (step + 1) / max(warmup_steps, 1))
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return peak * warmup * cosine
