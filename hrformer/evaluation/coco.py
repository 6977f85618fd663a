"""COCO's figures of keypoints, by pycocotools, and what they would be of other draws of the pictures."""

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrformer.evaluation.figures import Figure, Values, Weights, with_intervals
from hrformer.geometry.skeletons import JOINTS

STATS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
RESAMPLES = 300  # of the pictures: each costs a millisecond for 1,000 people, and 50 for 50,000 detections
_AT_50, _AT_75 = 0, 5  # of the ten OKS thresholds 0.5, 0.55 … 0.95

Annotation = Mapping[str, Any]


def keypoint_evaluation(
    images: Sequence[int], truths: Iterable[Annotation], found: Sequence[Annotation]
) -> Any:
    """COCOeval after its summary: `stats` are the ten figures `STATS`, -1 where no person is of that size.

    images: all that count, also those without a person, in which every detection is wrong.
    truths, found: COCO's dictionaries; of a person the category may be left out.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        labels = COCO()
        labels.dataset = {
            "info": {},
            "images": [{"id": image} for image in images],
            "annotations": [{"iscrowd": 0, "category_id": 1, **truth} for truth in truths],
            "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
        }
        labels.createIndex()
        answers = labels.loadRes([{"category_id": 1, **answer} for answer in found]) if found else COCO()
        evaluation = COCOeval(labels, answers, "keypoints")
        evaluation.params.imgIds, evaluation.params.catIds = sorted(images), [1]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def coco_figures(evaluation: Any) -> list[Figure]:
    """The ten figures with their intervals."""
    values = evaluation.stats.tolist()
    plain = [Figure(name, value, group="coco") for name, value in zip(STATS, values, strict=True)]
    pictures = len(evaluation.params.imgIds)
    return with_intervals(plain, redrawn(evaluation), pictures, resamples=RESAMPLES)


def redrawn(evaluation: Any) -> Callable[[Weights], Values]:
    """A function that gives the ten figures with each picture, in the order of its id, counted so often.

    pycocotools matches people picture by picture, and then ranks what it found over all pictures; only the
    ranking is done again. NaN where no person is of that size.
    """
    pictures = len(evaluation.params.imgIds)
    by_picture = [evaluation.evalImgs[start : start + pictures] for start in range(0, 3 * pictures, pictures)]
    rankings = [_ranking(matched, pictures) for matched in by_picture]  # all sizes, medium, large

    def figures(weights: Weights) -> Values:
        (precision, recall), *by_size = (
            _precision_recall(ranking, weights, evaluation.params.recThrs) for ranking in rankings
        )
        medium, large = ((p.mean(), r.mean()) for p, r in by_size)
        return np.array(
            [
                *(precision.mean(), precision[_AT_50], precision[_AT_75], medium[0], large[0]),
                *(recall.mean(), recall[_AT_50], recall[_AT_75], medium[1], large[1]),
            ]
        )

    return figures


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


def _precision_recall(ranking: _Ranking, weights: Weights, recalls: Values) -> tuple[Values, Values]:
    """Mean precision at COCO's 101 recalls, and the last recall, `(thresholds,)` each."""
    persons = float(weights @ ranking.persons)
    if persons == 0:
        return np.full(10, np.nan), np.full(10, np.nan)
    counts = weights[ranking.picture]
    right, wrong = np.cumsum(ranking.right * counts, axis=1), np.cumsum(ranking.wrong * counts, axis=1)
    precision = right / (right + wrong + np.spacing(1))
    # The best precision at this recall or a higher one; none beyond the last.
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((10, 1))], axis=1)
    recall = right / persons
    at = [np.searchsorted(row, recalls, side="left") for row in recall]
    last = recall[:, -1] if recall.shape[1] else np.zeros(10)
    return np.array([row[places].mean() for row, places in zip(best, at, strict=True)]), last
