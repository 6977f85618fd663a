"""What the engine answers with."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Box(NamedTuple):
    """A person's box in pixels of the upright image."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Person:
    """One person: the box as given or found, and the keypoints."""

    box: Box
    score: float  # 0 to 1: the box's score times the mean score of the keypoints above 0.2
    keypoints: npt.NDArray[np.float32]  # (joints, 3): x and y in image pixels, score 0 to 1
    box_score: float = 1.0  # 0 to 1: how sure it is that somebody is there; 1 where the box was given

    def is_visible(self, keypoint_threshold: float) -> list[bool]:
        """Whether each joint has at least this score."""
        return [score >= keypoint_threshold for score in self.keypoints[:, 2].tolist()]


COORDINATE_DIGITS, SCORE_DIGITS = 2, 4  # after the point, of everything that is answered
_STEPS = 10.0 ** np.array([COORDINATE_DIGITS, COORDINATE_DIGITS, SCORE_DIGITS])  # that 1 is divided into


def rounded_keypoints(person: Person) -> list[list[float]]:
    """x, y and score of each joint as an answer gives them: to 0.01 px and 0.0001."""
    rounded: list[list[float]] = (np.rint(person.keypoints * _STEPS) / _STEPS).tolist()
    return rounded


def rounded_score(score: float) -> float:
    """A score as an answer gives it: to 0.0001."""
    return round(score, SCORE_DIGITS)


class Detection(NamedTuple):
    """A person that was found, without keypoints."""

    box: Box
    score: float  # 0 to 1: how sure it is that somebody is there
