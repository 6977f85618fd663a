"""A published state_dict → ours, strictly: every key is known, none is missing, every shape is right."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hrformer.checkpoints.errors import UnknownFamily
from hrformer.checkpoints.families.hrformer_pose import HRFORMER_POSE
from hrformer.checkpoints.families.hrformer_segmentation import HRFORMER_SEGMENTATION
from hrformer.checkpoints.families.imagenet import IMAGENET
from hrformer.checkpoints.families.mmpose import MMPOSE
from hrformer.checkpoints.families.table import Family
from hrformer.checkpoints.keys import Shapes, is_counter, refuse, window_of_table, wrong_shapes
from hrformer.modeling.windows import relative_position_index

FAMILIES = {family.name: family for family in (HRFORMER_POSE, MMPOSE, HRFORMER_SEGMENTATION, IMAGENET)}


def family_named(name: str) -> Family:
    """The family of this name. raises: UnknownFamily, which lists the names."""
    if name not in FAMILIES:
        raise UnknownFamily(f"there is no family {name!r}; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def translate(
    family: Family, state: Mapping[str, Tensor], ours: Shapes, *, theirs_below: str = "", ours_below: str = ""
) -> dict[str, Tensor]:
    """The state under our names, for a network whose entries have the shapes `ours`.

    theirs_below, ours_below: stand before either side's keys when the state is that of a part of a network.
    raises: KeysDoNotMatch, naming keys of the checkpoint, if one is unknown, missing or of another shape, or
    if a stored position index is not the architecture's.
    """
    full = {theirs_below + key: value for key, value in state.items()}
    full_ours = {ours_below + key: shape for key, shape in ours.items()}
    expected = expected_keys(family, full_ours)
    optional = {key for key in full if _is_optional(family, key, full_ours)}
    wrong = {
        "unknown": [key for key in full if key not in expected and key not in optional],
        "missing": [key for key in expected if key not in full],
        "of the wrong shape": wrong_shapes(full, expected),
        "no position index of this architecture": _wrong_indices(family, full, full_ours),
    }
    refuse(f"the checkpoint does not fit {family.name}", wrong)
    return {key.removeprefix(ours_below): _stacked(family, key, full) for key in full_ours}


def expected_keys(family: Family, ours: Shapes) -> dict[str, tuple[int, ...]]:
    """Keys and shapes that a checkpoint of the family holds for a network of ours."""
    expected: dict[str, tuple[int, ...]] = {}
    for key, shape in ours.items():
        names = family.table.theirs(key)
        assert names, f"family {family.name} has no name for {key}"
        expected |= {name: (shape[0] // len(names), *shape[1:]) for name in names}
    return expected


def _stacked(family: Family, key: str, state: Mapping[str, Tensor]) -> Tensor:
    parts = [state[name] for name in family.table.theirs(key)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _is_optional(family: Family, key: str, ours: Shapes) -> bool:
    """Batch norms' counters and position indices may be there or not; neither carries anything learned."""
    place = family.table.place(key)
    if place is None:
        return False
    if is_counter(key):
        return place.key.replace("num_batches_tracked", "running_mean") in ours
    return place.key.endswith("bias_index") and place.key.replace("bias_index", "bias_table") in ours


def _wrong_indices(family: Family, state: Mapping[str, Tensor], ours: Shapes) -> list[str]:
    wrong = []
    for key, value in state.items():
        place = family.table.place(key)
        if place is None or not place.key.endswith("bias_index") or not _is_optional(family, key, ours):
            continue
        rows = ours[place.key.replace("bias_index", "bias_table")][0]
        if not torch.equal(value.long(), relative_position_index(window_of_table(rows))):
            wrong.append(key)
    return wrong
