"""Checkpoints of the published families: their own key lists, filled by the rule."""

from pathlib import Path

import torch
from torch import Tensor

from hrformer.checkpoints.fill import fill_state
from hrformer.checkpoints.reference import Case, read_cases, read_keys
from hrformer.modeling.windows import relative_position_index

DIRECTORY = Path(__file__).parent.parent / "modeling" / "published"
CASES = {case.name: case for case in read_cases(DIRECTORY)}
POSE, MMPOSE, SEGMENTATION, IMAGENET, WITHOUT_TABLES = (
    "pose-small-odd-230x150",
    "mm-small-160x192-padmask",
    "seg-small-odd-130x97-c19-b2",
    "cls-tiny-224",
    "mm-small-256x192-norpe",
)


def state_of(case: Case) -> dict[str, Tensor]:
    """The complete state_dict under the family's keys, with counters and position indices."""
    keys = read_keys(case.keys)
    state = {key: torch.from_numpy(values) for key, values in fill_state(keys).items()}
    for key, _ in keys:
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(1)
        elif key.endswith("relative_position_index"):
            state[key] = relative_position_index(case.options["window"])
    return {key: state[key] for key, _ in keys}
