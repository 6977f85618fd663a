"""How good keypoints are of people who are found first, and what that loses against boxes that are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hrformer.data.coco import LabelledPerson
from hrformer.data.detections import LabelledPictures
from hrformer.engine.results import Person
from hrformer.evaluation.coco import (
    RESAMPLES,
    STATS,
    evaluation_of,
    keypoint_stats,
    redrawn,
)
from hrformer.evaluation.figures import Figure, Values, Weights, ratio, with_intervals
from hrformer.evaluation.pose import coco_results

MOST = 20  # people of a picture that COCO looks at
LOST = STATS[:2]  # figures of which it is told how much finding loses


def figures_of_everyone(
    found: Sequence[Sequence[Person]],
    given: Sequence[Person],
    persons: Sequence[LabelledPerson],
    pictures: LabelledPictures,
) -> list[Figure]:
    """COCO's ten figures of people found, the ten of given boxes, and the relative loss of AP and AP50.

    found: of each picture, in their order. given: answers for the boxes of `persons`, in theirs. Everything
    labelled in the pictures counts alike for both: people without keypoints and crowds are ignored, and who
    is found where nobody is lowers the precision. Both are redrawn together, so that the loss's interval is
    that of a difference on the same pictures.
    """
    numbers = [number for number, people in zip(pictures.images, found, strict=True) for _ in people]
    evaluations = [
        _evaluation([person for people in found for person in people], numbers, pictures),
        _evaluation(given, [person.image_id for person in persons], pictures),
    ]
    redraws = [redrawn(evaluation) for evaluation in evaluations]

    def compute(weights: Weights) -> Values:
        return _with_loss(*(keypoint_stats(redraw(weights)) for redraw in redraws))

    names = [(group, name) for group in ("coco", "coco_given_boxes") for name in STATS]
    names += [("relative_loss", name) for name in LOST]
    values = _with_loss(*(evaluation.stats for evaluation in evaluations)).tolist()
    plain = [Figure(name, value, group=group) for (group, name), value in zip(names, values, strict=True)]
    return with_intervals(plain, compute, len(pictures.images), resamples=RESAMPLES)


def _evaluation(people: Sequence[Person], numbers: Sequence[int], pictures: LabelledPictures) -> Any:
    results = coco_results(people, numbers, (person.score for person in people))
    return evaluation_of("keypoints", pictures.images, pictures.truths, results)


def _with_loss(found: Values, given: Values) -> Values:
    """Both, and the loss of the first two figures; NaN where there is nothing to lose."""
    lost = np.where(given[: len(LOST)] < 0, 0, given[: len(LOST)])
    return np.concatenate([found, given, ratio(lost - found[: len(LOST)], lost)])
