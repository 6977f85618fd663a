"""COCO's figures by pycocotools, and what they would be of other draws of the pictures."""

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrformer.evaluation.figures import Figure, Values, Weights, with_intervals
from hrformer.geometry.skeletons import JOINTS

STATS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
RESAMPLES = 300  # of the pictures: each costs a millisecond for 1,000 people, and 50 for 50,000 detections
AT_50, AT_75 = 0, 5  # of the ten thresholds of OKS or IoU, 0.5, 0.55 … 0.95

Annotation = Mapping[str, Any]
Redraw = Callable[[Weights], "list[Redrawn]"]


class Redrawn(NamedTuple):
    """People of one range of sizes, by COCO's ten thresholds `(10,)`; NaN where there is nobody."""

    precision: Values  # the mean over COCO's 101 recalls
    recall: Values


def evaluation_of(
    kind: Literal["keypoints", "bbox"],
    images: Iterable[int],
    truths: Iterable[Annotation],
    found: Sequence[Annotation],
) -> Any:
    """COCOeval after its summary, with the figures in `stats`, -1 where no person is of that size.

    images: all that count, also those without a person, in which every detection is wrong.
    truths, found: COCO's dictionaries of people; the category, and a label's number and `iscrowd`, may be
        left out.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        labels = COCO()
        labels.dataset = {
            "info": {},
            "images": [{"id": image} for image in images],
            "annotations": [
                {"id": number, "iscrowd": 0, "category_id": 1, **truth}
                for number, truth in enumerate(truths, start=1)
            ],
            "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
        }
        labels.createIndex()
        answers = labels.loadRes([{"category_id": 1, **answer} for answer in found]) if found else COCO()
        evaluation = COCOeval(labels, answers, kind)
        evaluation.params.imgIds, evaluation.params.catIds = sorted(labels.imgs), [1]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def keypoint_figures(evaluation: Any) -> list[Figure]:
    """The ten figures `STATS` with their intervals."""
    redraw = redrawn(evaluation)
    values = evaluation.stats.tolist()
    plain = [Figure(name, value, group="coco") for name, value in zip(STATS, values, strict=True)]
    pictures = len(evaluation.params.imgIds)
    return with_intervals(
        plain, lambda weights: keypoint_stats(redraw(weights)), pictures, resamples=RESAMPLES
    )


def keypoint_stats(people: Sequence[Redrawn]) -> Values:
    """The ten figures `STATS` of people of all sizes, medium and large ones."""
    everyone = people[0]
    shares = [
        [values.mean(), values[AT_50], values[AT_75], *(one[kind].mean() for one in people[1:])]
        for kind, values in enumerate(everyone)
    ]
    return np.array(shares).flatten()


def redrawn(evaluation: Any) -> Redraw:
    """A function that gives precision and recall with each picture, in the order of its id, counted so often.

    pycocotools matches people picture by picture, and then ranks what it found over all pictures; only the
    ranking is done again. Of each range of sizes, in COCO's order.
    """
    pictures, recalls = len(evaluation.params.imgIds), evaluation.params.recThrs
    starts = [index * pictures for index in range(len(evaluation.params.areaRng))]
    rankings = [_ranking(evaluation.evalImgs[start : start + pictures], pictures) for start in starts]
    return lambda weights: [_precision_recall(ranking, weights, recalls) for ranking in rankings]


@dataclass(frozen=True)
class _Ranking:
    """Everything found of one size, best first."""

    right: npt.NDArray[np.bool_]  # (thresholds, found)
    wrong: npt.NDArray[np.bool_]  # neither: what matches a person that does not count
    picture: npt.NDArray[np.intp]  # (found,)
    persons: Values  # (pictures,), those to be found


def _ranking(matched: Sequence[Mapping[str, Any] | None], pictures: int) -> _Ranking:
    seen = [(index, one) for index, one in enumerate(matched) if one is not None]
    persons = np.zeros(pictures)
    for index, one in seen:
        persons[index] = np.count_nonzero(np.asarray(one["gtIgnore"]) == 0)
    scores = np.concatenate([np.zeros(0), *(one["dtScores"] for _, one in seen)])
    order = np.argsort(-scores, kind="stable")
    shape = (10, 0)
    matches = np.concatenate([np.zeros(shape), *(one["dtMatches"] for _, one in seen)], axis=1)[:, order] > 0
    ignored = np.concatenate([np.zeros(shape), *(one["dtIgnore"] for _, one in seen)], axis=1)[:, order] > 0
    picture = np.repeat([index for index, _ in seen], [len(one["dtScores"]) for _, one in seen])[order]
    return _Ranking(matches & ~ignored, ~matches & ~ignored, picture.astype(np.intp), persons)


def _precision_recall(ranking: _Ranking, weights: Weights, recalls: Values) -> Redrawn:
    persons = float(weights @ ranking.persons)
    if persons == 0:
        return Redrawn(np.full(10, np.nan), np.full(10, np.nan))
    counts = weights[ranking.picture]
    right, wrong = np.cumsum(ranking.right * counts, axis=1), np.cumsum(ranking.wrong * counts, axis=1)
    precision = right / (right + wrong + np.spacing(1))
    # The best precision at this recall or a higher one; none beyond the last.
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((10, 1))], axis=1)
    recall = right / persons
    at = [np.searchsorted(row, recalls, side="left") for row in recall]
    last = recall[:, -1] if recall.shape[1] else np.zeros(10)
    return Redrawn(np.array([row[places].mean() for row, places in zip(best, at, strict=True)]), last)
