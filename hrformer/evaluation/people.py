"""How good found boxes are: COCO's AP and AR, recall by size, and false alarms where nobody is."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrformer.data.people import Photograph
from hrformer.data.pictures import read_picture
from hrformer.engine.people import PeopleEngine
from hrformer.engine.results import Detection

STATS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
AR_STATS = ("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large")
SIZES = ("small", "medium", "large")  # of the box: area up to 32², up to 96², and beyond, px
SMALLEST_PX = 25.0  # a person whose box's longer side is shorter is neither missed nor wrongly found
ALARM = 0.5  # score from which on somebody found in an empty photograph is a false alarm
LOWEST = 0.01  # score down to which AP looks at what was found


@dataclass(frozen=True)
class PeopleFigures:
    """Figures over a set; shares from 0 to 1."""

    photographs: int
    persons: int  # that count
    coco: dict[str, float]  # COCO's twelve, `STATS` and `AR_STATS`; -1 where no person is of that size
    recall50: dict[str, float]  # by size: share found with an IoU of 0.5 or more; -1 as above
    empty_photographs: int  # with neither a person nor a crowd
    false_alarms: float  # share of those in which somebody is found with a score of 0.5 or more; NaN of none


def find_people(engine: PeopleEngine, photographs: Sequence[Photograph]) -> Iterator[list[Detection]]:
    """What the engine finds in each photograph, down to low scores; in their order, as it is found.

    raises: BadDataset, naming the file, if a picture is missing or broken.
    """
    for photograph in photographs:
        canvas = engine.prepare(read_picture(photograph.image, engine.shrink))
        yield engine.finish(engine.run(canvas.pixels[None])[0], canvas, box_threshold=LOWEST)


def people_figures(
    answers: Sequence[Sequence[Detection]],
    photographs: Sequence[Photograph],
    *,
    smallest_px: float = SMALLEST_PX,
) -> PeopleFigures:
    """Figures of answers for photographs, in the same order.

    smallest_px: people whose box has a shorter long side are treated as crowds are. The long side, since it
        is a person's size: whoever stands 25 px tall is 8 px wide.
    """
    truths = [truth for photograph in photographs for truth in _truths(photograph, smallest_px)]
    found = [
        {"image_id": photograph.image_id, "bbox": list(detection.box), "score": detection.score}
        for answer, photograph in zip(answers, photographs, strict=True)
        for detection in answer
    ]
    stats, recall = box_stats([photograph.image_id for photograph in photographs], truths, found)
    alarms = [
        any(detection.score >= ALARM for detection in answer)
        for answer, photograph in zip(answers, photographs, strict=True)
        if len(photograph.boxes) + len(photograph.crowds) == 0
    ]
    return PeopleFigures(
        photographs=len(photographs),
        persons=sum(not truth["iscrowd"] for truth in truths),
        coco=dict(zip(STATS + AR_STATS, stats.tolist(), strict=True)),
        recall50=dict(zip(SIZES, recall.tolist(), strict=True)),
        empty_photographs=len(alarms),
        false_alarms=float(np.mean(alarms)) if alarms else float("nan"),
    )


def box_stats(
    images: Sequence[int], truths: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """COCO's twelve figures, and the recall at an IoU of 0.5 by size `(3,)`, by pycocotools.

    truths, found: COCO's dictionaries without ids and category.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        labels = COCO()
        labels.dataset = {
            "info": {},
            "images": [{"id": image} for image in images],
            "annotations": [{"id": i, "category_id": 1, **t} for i, t in enumerate(truths, start=1)],
            "categories": [{"id": 1, "name": "person"}],
        }
        labels.createIndex()
        answers = labels.loadRes([{"category_id": 1, **answer} for answer in found]) if found else COCO()
        evaluation = COCOeval(labels, answers, "bbox")
        evaluation.params.imgIds, evaluation.params.catIds = sorted(images), [1]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # (IoUs, categories, areas, limits): IoU 0.5; areas but "all"; up to 100 boxes
    return np.asarray(evaluation.stats), evaluation.eval["recall"][0, 0, 1:, -1]


def _truths(photograph: Photograph, smallest_px: float) -> Iterator[dict[str, Any]]:
    for boxes, is_crowd in ((photograph.boxes, False), (photograph.crowds, True)):
        for box in boxes.tolist():
            ignored = is_crowd or max(box[2:]) < smallest_px
            yield {
                "image_id": photograph.image_id,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(ignored),
            }
