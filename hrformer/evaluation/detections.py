"""How good keypoints are with boxes that a detector found: COCO's AP and AR over whole pictures."""

from collections.abc import Sequence
from itertools import groupby

import torch

from hrformer.data.detections import DetectedPerson, LabelledPictures
from hrformer.engine.results import Person
from hrformer.evaluation.coco import evaluation_of, keypoint_figures
from hrformer.evaluation.figures import Figure
from hrformer.evaluation.pose import coco_results
from hrformer.geometry.boxes import centre_scale
from hrformer.geometry.similarity import oks_nms

SAME_PERSON = 0.9  # OKS with a better one above which one goes, as in the published evaluations
CROP = (4, 3)  # height to width of the crops that they take the area of a person from


def figures_of_detections(
    people: Sequence[Person], detections: Sequence[DetectedPerson], pictures: LabelledPictures
) -> list[Figure]:
    """COCO's ten figures of answers for detections, in the same order, with their intervals.

    As in HRNet's evaluation (arXiv:1902.09212, section 4.1): a person's score is the detection's times the
    mean of the keypoints' above 0.2, and of two that are nearly alike the better one stays.
    """
    scores = [person.score * found.score for person, found in zip(people, detections, strict=True)]
    kept = _without_repeats(people, detections, scores)
    results = coco_results(
        [people[index] for index in kept],
        (detections[index].image_id for index in kept),
        (scores[index] for index in kept),
    )
    return keypoint_figures(evaluation_of("keypoints", pictures.images, pictures.truths, results))


def _without_repeats(
    people: Sequence[Person], detections: Sequence[DetectedPerson], scores: Sequence[float]
) -> list[int]:
    """Indices of those that no better one of their picture resembles."""
    if not detections:
        return []
    keypoints = torch.stack([torch.from_numpy(person.keypoints) for person in people]).double()
    boxes = torch.tensor([found.box for found in detections], dtype=torch.float64)
    areas = centre_scale(boxes, CROP)[1].prod(dim=1)
    order = sorted(range(len(detections)), key=lambda index: detections[index].image_id)
    kept: list[int] = []
    for _, group in groupby(order, key=lambda index: detections[index].image_id):
        rows = list(group)
        chosen = oks_nms(
            keypoints[rows],
            torch.tensor([scores[row] for row in rows], dtype=torch.float64),
            areas[rows],
            SAME_PERSON,
        )
        kept += [rows[index] for index in chosen]
    return sorted(kept)
