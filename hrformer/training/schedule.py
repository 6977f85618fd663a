"""Learning rate over a run, whose length is given in steps or in minutes."""

import math

from hrformer.training.recipe import Recipe

FLOOR = 0.01  # of the peak: where the cosine ends


def learning_rate(recipe: Recipe, step: int, progress: float) -> float:
    """Linear warm-up over steps; then the recipe's schedule.

    step: counted from 0; progress: share of the run that is done, by steps or by the clock.
    """
    warmup = min(1.0, (step + 1) / max(recipe.warmup_steps, 1))
    fall = cosine(progress) if recipe.schedule == "cosine" else _after_drops(recipe, progress)
    return recipe.learning_rate * warmup * fall


def cosine(progress: float) -> float:
    """Half a cosine from 1 at the start to `FLOOR` at the end."""
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))


def _after_drops(recipe: Recipe, progress: float) -> float:
    return recipe.drop_factor ** sum(progress >= drop for drop in recipe.drops)
