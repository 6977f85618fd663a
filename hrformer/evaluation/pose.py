"""How good keypoints are: mean OKS and PCK with given boxes, and COCO's AP and AR."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.data.coco import LabelledPerson
from hrformer.data.errors import BadDataset
from hrformer.data.pictures import read_picture
from hrformer.engine.pose import BadBox, PoseEngine, check_boxes
from hrformer.engine.results import Person
from hrformer.evaluation.coco import STATS, evaluation_of, keypoint_figures
from hrformer.evaluation.figures import Figure, Values, Weights, ratio, with_intervals
from hrformer.geometry.similarity import correct_joints, oks

PCK = (0.1, 0.2)  # of the longer side of the person's box


class BoxedPerson(Protocol):
    """Somebody in a picture, by a box `[x, y, width, height]` in its pixels."""

    @property
    def image(self) -> Path: ...
    @property
    def box(self) -> tuple[float, float, float, float]: ...
    @property
    def name(self) -> str:
        """What the person is called in a message."""


@dataclass(frozen=True)
class PoseFigures:
    """Figures over a set; shares from 0 to 1."""

    persons: int
    mean_oks: float
    mean_oks_by_label: dict[str, float]  # of the persons whose labels come from each source
    coco: dict[str, float]  # COCO's ten, `STATS`, with the boxes given; -1 where no person is of that size


def predict_persons(
    engine: PoseEngine, persons: Sequence[BoxedPerson], *, flip_test: bool = False, batch_size: int = 32
) -> Iterator[Person]:
    """The engine's answer for each person, given the box; in their order, as they are found.

    raises: BadDataset, naming the file, if a picture is missing or broken, or its person's box outside of it.
    """
    for start in range(0, len(persons), batch_size):
        part = persons[start : start + batch_size]
        crops, matrices = zip(*(_crop(engine, person) for person in part), strict=True)
        keypoints = engine.run(torch.cat(crops), flip_test)
        yield from engine.finish(keypoints, torch.cat(matrices), [person.box for person in part])


def pose_figures(people: Sequence[Person], persons: Sequence[LabelledPerson]) -> PoseFigures:
    """Figures of answers for labelled people, in the same order."""
    scores = PersonScores.of(people, persons)
    (mean, *by_label), _ = scores.oks_and_pck(np.ones(scores.pictures))
    stats = _coco(people, persons).stats.tolist()
    return PoseFigures(
        persons=len(persons),
        mean_oks=float(mean),
        mean_oks_by_label=dict(zip(scores.sources, map(float, by_label), strict=True)),
        coco=dict(zip(STATS, stats, strict=True)),
    )


def figures_of_persons(people: Sequence[Person], persons: Sequence[LabelledPerson]) -> list[Figure]:
    """All figures of answers for labelled people, in the same order, with their intervals."""
    scores = PersonScores.of(people, persons)

    def compute(weights: Weights) -> Values:
        return np.concatenate(scores.oks_and_pck(weights))

    names = [("", "mean_oks"), *(("mean_oks_by_label", source) for source in scores.sources)]
    names += [("", f"pck_{share:g}") for share in PCK]
    plain = [
        Figure(name, float(value), group=group)
        for (group, name), value in zip(names, compute(np.ones(scores.pictures)), strict=True)
    ]
    return with_intervals(plain, compute, scores.pictures) + keypoint_figures(_coco(people, persons))


@dataclass(frozen=True)
class PersonScores:
    """What mean OKS and PCK are made of, person by person."""

    picture: npt.NDArray[np.intp]  # (persons,), number among the set's pictures
    pictures: int
    oks: Values  # (persons,)
    source: npt.NDArray[np.str_]  # (persons,), where the labels come from
    labelled: Values  # (persons,), joints
    correct: Values  # (persons, shares), of these, by the shares in `PCK`

    @classmethod
    def of(cls, people: Sequence[Person], persons: Sequence[LabelledPerson]) -> "PersonScores":
        """Scores of answers for labelled people, in the same order."""
        found = torch.stack([torch.from_numpy(person.keypoints) for person in people]).double()
        truths = torch.stack([torch.from_numpy(person.joints) for person in persons]).double()
        labelled = truths[..., 2] > 0
        areas = torch.tensor([person.area for person in persons], dtype=torch.float64)
        similarity = [
            oks(one[None], truth[None], area, counted=counts[None, None])
            for one, truth, area, counts in zip(found, truths, areas, labelled, strict=True)
        ]
        sides = torch.tensor([max(person.box[2:]) for person in persons], dtype=torch.float64)
        correct = [(correct_joints(found, truths, sides, share) & labelled).sum(dim=1) for share in PCK]
        images, picture = np.unique([person.image_id for person in persons], return_inverse=True)
        return cls(
            picture=picture,
            pictures=len(images),
            oks=torch.cat(similarity).flatten().numpy(),
            source=np.array([person.label.split("+")[0] for person in persons]),
            labelled=labelled.sum(dim=1).double().numpy(),
            correct=torch.stack(correct, dim=1).double().numpy(),
        )

    @property
    def sources(self) -> list[str]:
        return sorted(set(self.source.tolist()))

    def oks_and_pck(self, weights: Weights) -> tuple[Values, Values]:
        """Mean OKS of all and by `sources`, and PCK by `PCK`, of pictures that count so often."""
        counts = weights[self.picture]
        groups = np.stack([counts, *(counts * (self.source == source) for source in self.sources)])
        mean_oks = ratio(groups @ self.oks, groups.sum(axis=1))
        return mean_oks, ratio(counts @ self.correct, counts @ self.labelled)


def _coco(people: Sequence[Person], persons: Sequence[LabelledPerson]) -> Any:
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
    return evaluation_of(
        "keypoints",
        {person.image_id for person in persons},
        truths,
        coco_results(people, (person.image_id for person in persons), (person.score for person in people)),
    )


def coco_results(
    people: Sequence[Person], images: Iterable[int], scores: Iterable[float]
) -> list[dict[str, Any]]:
    """Answers in COCO's results format; images, scores: of each."""
    return [
        {"image_id": image, "keypoints": person.keypoints.reshape(-1).tolist(), "score": score}
        for person, image, score in zip(people, images, scores, strict=True)
    ]


def _crop(engine: PoseEngine, person: BoxedPerson) -> tuple[Tensor, Tensor]:
    """Crop and matrix of a person, cut as the predictor and the service do."""

    def shrink(width: int, height: int) -> int:
        check_boxes([person.box], width, height)
        return engine.shrink(width, height, [person.box])

    try:
        return engine.prepare(read_picture(person.image, shrink), [person.box])
    except BadBox as error:
        raise BadDataset(f"{person.image}, {person.name}: {error}") from error
