"""How good found boxes are: COCO's AP and AR, recall by size, and false alarms where nobody is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrformer.data.people import Photograph
from hrformer.data.pictures import read_picture
from hrformer.engine.people import PeopleEngine
from hrformer.engine.results import Detection
from hrformer.evaluation.coco import AT_50, AT_75, RESAMPLES, Redrawn, evaluation_of, redrawn
from hrformer.evaluation.figures import Figure, Values, Weights, ratio, with_intervals

STATS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
AR_STATS = ("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large")
INTERVALS = (*STATS, "AR100", *AR_STATS[3:])  # those of the twelve that are told with an interval
SIZES = ("small", "medium", "large")  # of the box: area up to 32², up to 96², and beyond, px
SMALLEST_PX = 25.0  # a person whose box's longer side is shorter is neither missed nor wrongly found
ALARM = 0.5  # score from which on somebody found in an empty photograph is a false alarm
LOWEST = 0.01  # score down to which AP looks at what was found
MOST = 64  # people of a photograph that are looked at: as many as a service tells


@dataclass(frozen=True)
class PeopleFigures:
    """Figures over a set; shares from 0 to 1."""

    photographs: int
    persons: int  # that count
    coco: dict[str, float]  # COCO's twelve, `STATS` and `AR_STATS`; -1 where no person is of that size
    recall50: dict[str, float]  # by size: share found with an IoU of 0.5 or more; -1 as above
    empty_photographs: int  # with neither a person nor a crowd
    false_alarms: float  # share of those in which somebody is found with a score of 0.5 or more; NaN of none


def find_people(
    engine: PeopleEngine, photographs: Sequence[Photograph], *, box_threshold: float = LOWEST
) -> Iterator[list[Detection]]:
    """What the engine finds in each photograph, down to low scores; in their order, as it is found.

    raises: BadDataset, naming the file, if a picture is missing or broken.
    """
    for photograph in photographs:
        canvas = engine.prepare(read_picture(photograph.image, engine.shrink))
        rows = engine.run(canvas.pixels[None])[0]
        yield engine.finish(rows, canvas, box_threshold=box_threshold, max_people=MOST)


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
    evaluation = _evaluation(answers, photographs, smallest_px)
    alarms = [
        _alarms(answer)
        for answer, photograph in zip(answers, photographs, strict=True)
        if not _holds_somebody(photograph)
    ]
    # (IoUs, categories, areas, limits): IoU 0.5; areas but "all"; up to 100 boxes
    recall50 = evaluation.eval["recall"][0, 0, 1:, -1].tolist()
    counted = [truth for photograph in photographs for truth in _truths(photograph, smallest_px)]
    return PeopleFigures(
        photographs=len(photographs),
        persons=sum(not truth["iscrowd"] for truth in counted),
        coco=dict(zip(STATS + AR_STATS, evaluation.stats.tolist(), strict=True)),
        recall50=dict(zip(SIZES, recall50, strict=True)),
        empty_photographs=len(alarms),
        false_alarms=float(np.mean(alarms)) if alarms else float("nan"),
    )


def figures_of_people(
    answers: Sequence[Sequence[Detection]], photographs: Sequence[Photograph]
) -> list[Figure]:
    """AP, AR, recall by size and false alarms, with intervals, of answers for photographs in their order."""
    evaluation = _evaluation(answers, photographs, SMALLEST_PX)
    redraw = redrawn(evaluation)
    alarms = np.array([[_alarms(answer), 1.0] for answer in answers])
    alarms[np.array([_holds_somebody(photograph) for photograph in photographs])] = 0
    by_id = np.argsort([photograph.image_id for photograph in photographs])

    def compute(weights: Weights) -> Values:
        people = redraw(weights)
        false_alarms = ratio(*(weights @ alarms[by_id]))
        return np.array([*_box_stats(people), *(size.recall[AT_50] for size in people[1:]), false_alarms])

    names = [*(("coco", name) for name in INTERVALS), *(("recall50", size) for size in SIZES)]
    plain = people_figures(answers, photographs)
    values = [*(plain.coco[name] for name in INTERVALS), *plain.recall50.values(), plain.false_alarms]
    figures = [
        Figure(name, value, group=group)
        for (group, name), value in zip([*names, ("", "false_alarms")], values, strict=True)
    ]
    return with_intervals(figures, compute, len(photographs), resamples=RESAMPLES)


def _box_stats(people: Sequence[Redrawn]) -> list[float]:
    """The figures `INTERVALS` of people of all sizes, and of small, medium and large ones."""
    everyone = people[0].precision
    by_size = [one.precision.mean() for one in people[1:]]
    recalls = [one.recall.mean() for one in people]
    return [everyone.mean(), everyone[AT_50], everyone[AT_75], *by_size, *recalls]


def _evaluation(
    answers: Sequence[Sequence[Detection]], photographs: Sequence[Photograph], smallest_px: float
) -> Any:
    truths = [truth for photograph in photographs for truth in _truths(photograph, smallest_px)]
    found = [
        {"image_id": photograph.image_id, "bbox": list(detection.box), "score": detection.score}
        for answer, photograph in zip(answers, photographs, strict=True)
        for detection in answer
    ]
    return evaluation_of("bbox", (photograph.image_id for photograph in photographs), truths, found)


def _alarms(answer: Sequence[Detection]) -> bool:
    return any(detection.score >= ALARM for detection in answer)


def _holds_somebody(photograph: Photograph) -> bool:
    return len(photograph.boxes) + len(photograph.crowds) > 0


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
