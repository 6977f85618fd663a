"""Arrays for `numpy.load`, without pickles."""

import io
from collections.abc import Sequence

import numpy as np

from hrformer.engine.results import Detection, Person
from hrformer.geometry.skeletons import JOINTS
from service.answers import PeopleResult, PoseResult, SegmentResult


def pose_npz(result: PoseResult) -> bytes:
    """Float32 `boxes (n, 4)`, `box_scores (n,)`, `scores (n,)`, `keypoints (n, 17, 3)`; `joints (17,)`."""
    return _npz(**pose_arrays(result.people), joints=np.array(JOINTS))


def people_npz(result: PeopleResult) -> bytes:
    """`boxes (n, 4)` and `scores (n,)` as float32."""
    return _npz(**people_arrays(result.people))


def segment_npz(result: SegmentResult) -> bytes:
    """`class_map (height, width)` uint8; `classes (n,)` text; `colours (n, 3)` uint8."""
    return _npz(
        class_map=result.class_map,
        classes=np.array([name for name, _ in result.served.palette]),
        colours=np.array([colour for _, colour in result.served.palette], np.uint8),
    )


def pose_arrays(people: Sequence[Person]) -> dict[str, np.ndarray]:
    """By name, as `pose_npz` says."""
    return {
        "boxes": _boxes(people),
        "box_scores": np.array([person.box_score for person in people], np.float32),
        "scores": _scores(people),
        "keypoints": np.array([person.keypoints for person in people], np.float32).reshape(
            -1, len(JOINTS), 3
        ),
    }


def people_arrays(people: Sequence[Detection]) -> dict[str, np.ndarray]:
    """By name, as `people_npz` says."""
    return {"boxes": _boxes(people), "scores": _scores(people)}


def _boxes(people: Sequence[Person | Detection]) -> np.ndarray:
    return np.array([person.box for person in people], np.float32).reshape(-1, 4)


def _scores(people: Sequence[Person | Detection]) -> np.ndarray:
    return np.array([person.score for person in people], np.float32)


def _npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
