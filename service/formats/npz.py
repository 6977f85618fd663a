"""Arrays for `numpy.load`, without pickles."""

import io

import numpy as np

from hrformer.geometry.skeletons import JOINTS
from service.answers import PoseResult, SegmentResult


def pose_npz(result: PoseResult) -> bytes:
    """`boxes (n, 4)`, `scores (n,)` and `keypoints (n, 17, 3)` as float32; `joints (17,)` text."""
    people = result.people
    return _npz(
        boxes=np.array([person.box for person in people], np.float32).reshape(-1, 4),
        scores=np.array([person.score for person in people], np.float32),
        keypoints=np.array([person.keypoints for person in people], np.float32).reshape(-1, len(JOINTS), 3),
        joints=np.array(JOINTS),
    )


def segment_npz(result: SegmentResult) -> bytes:
    """`class_map (height, width)` uint8; `classes (n,)` text; `colours (n, 3)` uint8."""
    return _npz(
        class_map=result.class_map,
        classes=np.array([name for name, _ in result.served.palette]),
        colours=np.array([colour for _, colour in result.served.palette], np.uint8),
    )


def _npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
