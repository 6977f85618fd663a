"""How good keypoints are, with given boxes: mean OKS and COCO's AP and AR."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from hrformer.data.coco import LabelledPerson
from hrformer.data.errors import BadDataset
from hrformer.data.pictures import read_picture
from hrformer.engine.pose import BadBox, PoseEngine, check_boxes
from hrformer.engine.results import Person
from hrformer.geometry.similarity import oks
from hrformer.geometry.skeletons import JOINTS

STATS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")


@dataclass(frozen=True)
class PoseFigures:
    """Figures over a set; shares from 0 to 1."""

    persons: int
    mean_oks: float
    mean_oks_by_label: dict[str, float]  # of the persons whose labels come from each source
    coco: dict[str, float]  # COCO's ten, `STATS`, with the boxes given; -1 where no person is of that size


def predict_persons(
    engine: PoseEngine, persons: Sequence[LabelledPerson], *, flip_test: bool = False, batch_size: int = 32
) -> Iterator[Person]:
    """The engine's answer for each labelled person, given the box; in their order, as they are found.

    raises: BadDataset, naming the file, if a picture is missing or broken, or its person's box outside of it.
    """
    for start in range(0, len(persons), batch_size):
        part = persons[start : start + batch_size]
        crops, matrices = zip(*(_crop(engine, person) for person in part), strict=True)
        keypoints = engine.run(torch.cat(crops), flip_test)
        yield from engine.finish(keypoints, torch.cat(matrices), [person.box for person in part])


def pose_figures(people: Sequence[Person], persons: Sequence[LabelledPerson]) -> PoseFigures:
    """Figures of answers for labelled people, in the same order."""
    similarity = np.array([_oks(answer, truth) for answer, truth in zip(people, persons, strict=True)])
    labels = np.array([person.label.split("+")[0] for person in persons])
    by_label = {str(label): float(similarity[labels == label].mean()) for label in sorted(set(labels))}
    return PoseFigures(len(persons), float(similarity.mean()), by_label, coco_figures(people, persons))


def coco_figures(people: Sequence[Person], persons: Sequence[LabelledPerson]) -> dict[str, float]:
    """COCO's ten figures by pycocotools."""
    truths = [
        {
            "id": person.annotation_id,
            "image_id": person.image_id,
            "bbox": list(person.box),
            "area": person.area,
            "keypoints": person.joints.reshape(-1).tolist(),
            "num_keypoints": int((person.joints[:, 2] > 0).sum()),
        }
        for person in persons
    ]
    found = [
        {
            "image_id": person.image_id,
            "keypoints": answer.keypoints.reshape(-1).tolist(),
            "score": answer.score,
        }
        for answer, person in zip(people, persons, strict=True)
    ]
    return dict(zip(STATS, coco_stats(truths, found).tolist(), strict=True))


def coco_stats(truths: Iterable[dict[str, Any]], found: Iterable[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """The ten figures `STATS` of keypoint detections against labels, both as COCO's dictionaries."""
    truths = [{"iscrowd": 0, "category_id": 1, **truth} for truth in truths]
    images = sorted({truth["image_id"] for truth in truths})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        labels = COCO()
        labels.dataset = {
            "info": {},
            "images": [{"id": image} for image in images],
            "annotations": truths,
            "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
        }
        labels.createIndex()
        answers = labels.loadRes([{"category_id": 1, **answer} for answer in found])
        evaluation = COCOeval(labels, answers, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.asarray(evaluation.stats)


def _crop(engine: PoseEngine, person: LabelledPerson) -> tuple[Tensor, Tensor]:
    """Crop and matrix of a person, cut as the predictor and the service do."""

    def shrink(width: int, height: int) -> int:
        check_boxes([person.box], width, height)
        return engine.shrink(width, height, [person.box])

    try:
        return engine.prepare(read_picture(person.image, shrink), [person.box])
    except BadBox as error:
        raise BadDataset(f"{person.image}, annotation {person.annotation_id}: {error}") from error


def _oks(answer: Person, truth: LabelledPerson) -> float:
    """OKS over the labelled joints."""
    joints = torch.from_numpy(truth.joints).double()
    predicted = torch.from_numpy(answer.keypoints).double()
    counted = (joints[:, 2] > 0)[None, None]
    area = torch.tensor(truth.area, dtype=torch.float64)
    return float(oks(predicted[None], joints[None], area, counted=counted))
