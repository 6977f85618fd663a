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


class Detection(NamedTuple):
    """A person that was found, without keypoints."""

    box: Box
    score: float  # 0 to 1: how sure it is that somebody is there
