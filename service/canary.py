"""One picture that a model has to answer as it should before it may replace another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hrformer.engine.people import PeopleCoding
from hrformer.engine.results import Detection
from hrformer.images.decode import Limits, Picture, decode
from service.models import Served

HEIGHT, WIDTH = 480, 640
# What the same weights may differ by, as the API promises.
SAME_PX, SAME_SCORE, SAME_PIXELS = 0.1, 0.001, 0.999
NEAR = 0.1  # of the picture's longer side: so near, joints and edges of other weights count as agreeing
MOST = 10  # people that are compared
SURE = PeopleCoding().threshold  # score from which on a person counts as found

Answer = npt.NDArray[np.float32] | npt.NDArray[np.uint8]


class CanaryDied(Exception):
    """The new model does not answer as it should; the message says in what."""


@dataclass(frozen=True)
class Canary:
    """The picture, and on what share of it other weights have to agree with those they replace."""

    picture: Picture
    min_agreement: float  # 0 to 1

    def answer(self, served: Served) -> Answer:
        """Keypoints `(17, 3)` in the picture's pixels, all of it taken as one person; or the class map; or
        the people `(10, 5)` who are the surest to be there, by left, top, right, bottom and score.

        raises: CanaryDied, whatever the model raises.
        """
        model, picture = served.model, self.picture
        if served.entry.task == "pose":
            box = (0.0, 0.0, float(picture.width), float(picture.height))
            crops, matrices = model.prepare(picture, [box])
            [person] = model.finish(model.run(crops), matrices, [box])
            return _finite(np.asarray(person.keypoints))
        canvas = model.prepare(picture)
        [row] = model.run(canvas.pixels[None])
        _finite(row.numpy())
        if served.entry.task == "people":
            return _surest(model.finish(row, canvas, box_threshold=0.0, max_people=MOST))
        return np.asarray(model.finish(row, canvas))

    def check(self, old: Answer, new: Answer, *, is_same: bool) -> None:
        """Whether a new model may take the place of an old one, by their answers.

        is_same: they have the same weights, so that the answers must be the same.
        raises: CanaryDied.
        """
        if new.shape != old.shape:
            raise CanaryDied(f"its answer has the shape {new.shape}; expected {old.shape}")
        if is_same and not _is_equal(old, new):
            raise CanaryDied("its weights are those of the model that serves, but its answer is another one")
        agreement = self._agreement(old, new)
        if not is_same and agreement < self.min_agreement:
            raise CanaryDied(
                f"it agrees with the model that serves on {agreement:.0%} of the canary picture; expected at "
                f"least {self.min_agreement:.0%} (reload_agreement)"
            )

    def _agreement(self, old: Answer, new: Answer) -> float:
        near_px = NEAR * max(self.picture.width, self.picture.height)
        if _is_class_map(old):
            return float((old == new).mean())
        if _are_people(old):
            return _seen_again(_sure(old), _sure(new), near_px)
        return float((np.hypot(*(old - new)[:, :2].T) <= near_px).mean())


def read_canary(file: Path | None, limits: Limits, min_agreement: float) -> Canary:
    """The picture in the file. Without one, waves and noise, on which other weights need not agree.

    raises: OSError, ImageError kin.
    """
    if file is not None:
        return Canary(decode(file.read_bytes(), limits), min_agreement)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = np.stack([np.sin(x / 31), np.cos(y / 47), np.sin((x + y) / 61)], axis=-1)
    noise = np.random.default_rng(0).normal(size=waves.shape)
    pixels = np.clip(128 + 80 * waves + 20 * noise, 0, 255).astype(np.uint8)
    return Canary(Picture(pixels, WIDTH, HEIGHT), 0.0)


def _finite(values: Answer) -> Answer:
    if not np.isfinite(values).all():
        raise CanaryDied("its answer is not finite")
    return values


def _is_class_map(answer: Answer) -> bool:
    return answer.dtype == np.uint8


def _are_people(answer: Answer) -> bool:
    return answer.shape == (MOST, 5)


def _surest(found: Sequence[Detection]) -> Answer:
    """The people as `(10, 5)`; rows of zeros where there are fewer."""
    people = np.zeros((MOST, 5), np.float32)
    for row, ((x, y, width, height), score) in zip(people, found, strict=False):
        row[:] = x, y, x + width, y + height, score
    return people


def _sure(people: Answer) -> Answer:
    return people[people[:, 4] >= SURE]


def _seen_again(old: Answer, new: Answer, within_px: float) -> float:
    """The share of people whose edges all lie so near to those of one of the others."""
    apart_px = np.abs(old[:, None, :4] - new[None, :, :4]).max(axis=2)  # (old, new)
    return float((apart_px.min(axis=1, initial=np.inf) <= within_px).mean()) if len(old) else 1.0


def _is_equal(old: Answer, new: Answer) -> bool:
    if _is_class_map(old):
        return float((old == new).mean()) >= SAME_PIXELS
    if _are_people(old):
        # Of those who are hardly there, two may be as sure, and come in any order.
        is_as_sure = bool((np.abs(old[:, 4] - new[:, 4]) <= SAME_SCORE).all())
        return is_as_sure and _seen_again(_sure(old), new, SAME_PX) == 1
    difference = np.abs(old - new)
    return bool((difference[:, :2] <= SAME_PX).all() and (difference[:, 2] <= SAME_SCORE).all())
