"""How good keypoints are, with given boxes: mean OKS and COCO's AP and AR."""

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrformer.data.coco import LabelledPerson
from hrformer.engine.pose import PoseEngine
from hrformer.engine.results import Person
from hrformer.geometry.similarity import oks
from hrformer.geometry.skeletons import JOINTS
from hrformer.images.decode import decode

STATS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")


@dataclass(frozen=True)
class PoseFigures:
    """Figures over a set; shares from 0 to 1."""

    mean_oks: float
    by_label: dict[str, float]  # mean OKS of the persons whose labels come from each source
    coco: dict[
        str, float
    ]  # COCO's ten, from `STATS`; the boxes are given, so AP is above that with found ones
    persons: int


def predict_persons(
    engine: PoseEngine, persons: Sequence[LabelledPerson], *, flip_test: bool = False, batch_size: int = 32
) -> list[Person]:
    """The engine's answer for each labelled person, given the box; in their order."""
    people: list[Person] = []
    for start in range(0, len(persons), batch_size):
        part = persons[start : start + batch_size]
        prepared = [
            engine.prepare(decode(person.image.read_bytes(), shrink=1), [person.box]) for person in part
        ]
        keypoints = engine.run(torch.cat([crops for crops, _ in prepared]), flip_test)
        matrices = torch.cat([matrices for _, matrices in prepared])
        people += engine.finish(keypoints, matrices, [person.box for person in part])
    return people


def pose_figures(people: Sequence[Person], persons: Sequence[LabelledPerson]) -> PoseFigures:
    """Figures of answers for labelled people, in the same order."""
    similarity = np.array([_oks(answer, truth) for answer, truth in zip(people, persons, strict=True)])
    labels = np.array([person.label.split("+")[0] for person in persons])
    by_label = {str(label): float(similarity[labels == label].mean()) for label in sorted(set(labels))}
    return PoseFigures(float(similarity.mean()), by_label, coco_figures(people, persons), len(persons))


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
    """The ten figures `STATS` of keypoint detections against labels, both as dictionaries in COCO's format."""
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


def _oks(answer: Person, truth: LabelledPerson) -> float:
    """OKS over the labelled joints."""
    joints = torch.from_numpy(truth.joints).double()
    predicted = torch.from_numpy(answer.keypoints).double()
    counted = (joints[:, 2] > 0)[None, None]
    area = torch.tensor(truth.area, dtype=torch.float64)
    return float(oks(predicted[None], joints[None], area, counted=counted))
