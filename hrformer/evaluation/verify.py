"""Our geometry against stored arrays of the published code."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hrformer.checkpoints.check import Check
from hrformer.evaluation.parity.boxes import box_checks, crop_checks
from hrformer.evaluation.parity.coco import coco_checks
from hrformer.evaluation.parity.compare import Arrays
from hrformer.evaluation.parity.decoding import decode_checks, flip_checks
from hrformer.evaluation.parity.similarity import oks_checks
from hrformer.evaluation.parity.targets import target_checks

GROUPS: dict[str, tuple[Callable[[Arrays], Iterator[Check]], ...]] = {
    "postprocess.npz": (box_checks, crop_checks, decode_checks, flip_checks, oks_checks, coco_checks),
    "train_pose.npz": (target_checks,),
}


def verify_postprocess(directory: Path) -> list[Check]:
    """One check for every array that the reference files in a directory hold and that we can compute.

    Sizes, thresholds and parameters are read from the arrays and their names; what a file does not hold is
    not checked, so a directory without `postprocess.npz` and `train_pose.npz` gives none. Errors are largest
    absolute differences in the unit of the array, but where the function for its group says otherwise; rows
    that the reference marks as arbitrary, and its NaN, do not count. A method that we do not have fails.

    raises: ValueError or OSError of numpy if a file is no npz file.
    """
    checks: list[Check] = []
    for file, groups in GROUPS.items():
        if (directory / file).exists():
            with np.load(directory / file) as stored:
                arrays = dict(stored)
            checks += [check for group in groups for check in group(arrays)]
    return checks
