"""Which family, variant, window and number of outputs a checkpoint is of, from its keys and shapes alone."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from hrformer.checkpoints.errors import KeysDoNotMatch, UnknownFamily
from hrformer.checkpoints.families.hrformer_pose import HRFORMER_POSE
from hrformer.checkpoints.families.hrformer_segmentation import HRFORMER_SEGMENTATION
from hrformer.checkpoints.families.imagenet import IMAGENET
from hrformer.checkpoints.families.mmpose import MMPOSE
from hrformer.checkpoints.families.table import Family
from hrformer.checkpoints.keys import Shapes, window_of_table
from hrformer.checkpoints.translate import FAMILIES
from hrformer.modeling.config import NetworkConfig, RelativeBias
from hrformer.modeling.variants import BACKBONES, variant

CHANNELS_KEY = "backbone.transition1.0.0.weight"
OUTPUTS_KEY = {
    "pose": "head.heatmaps.weight",
    "segmentation": "head.classify.weight",
    "classification": "head.classify.weight",
}


def detect_family(keys: Iterable[str]) -> Family:
    """The family whose names these are. raises: UnknownFamily if they are nobody's."""
    keys = list(keys)
    if any(".attn.attn.qkv." in key for key in keys):
        return MMPOSE
    if any(key.startswith("keypoint_head.") for key in keys):
        return HRFORMER_POSE
    if any(key.startswith(("aux_head.", "ocr_distri_head.")) for key in keys):
        return HRFORMER_SEGMENTATION
    if any(key.startswith(("incre_modules.", "classifier.")) for key in keys):
        return IMAGENET
    raise UnknownFamily(
        f"these are the keys of no published family (the first is {keys[0] if keys else 'missing'!r}); "
        f"known are {', '.join(FAMILIES)}"
    )


def detect_config(family: Family, state: Mapping[str, Tensor]) -> NetworkConfig:
    """The network that the checkpoint was made with, as far as keys and shapes tell.

    Whether the bias is added follows from the family; whether padding is masked cannot be seen, and is taken
    as no.
    raises: KeysDoNotMatch if a key that must tell is missing; UnknownFamily if the channels are those of no
    variant.
    """
    shapes = our_shapes(family, state)
    outputs = _telling(family, shapes, OUTPUTS_KEY[family.task])[0]
    config = variant(_variant_name(_telling(family, shapes, CHANNELS_KEY)[0]), family.task, outputs)
    backbone = replace(
        config.backbone, window_size=_window(state, shapes), relative_bias=_relative_bias(family, shapes)
    )
    return replace(config, backbone=backbone)


def our_shapes(family: Family, state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes by our keys, of the tensors whose keys the family knows."""
    places = {key: family.table.place(key) for key in state}
    return {place.key: tuple(state[key].shape) for key, place in places.items() if place is not None}


def _telling(family: Family, shapes: Shapes, key: str) -> tuple[int, ...]:
    if not shapes.get(key):
        raise KeysDoNotMatch(
            f"the checkpoint does not fit {family.name}: 1 missing: {', '.join(family.table.theirs(key))}"
        )
    return shapes[key]


def _variant_name(channels: int) -> str:
    by_channels = {make().channels[0]: name for name, make in BACKBONES.items()}
    if channels not in by_channels:
        known = ", ".join(f"{name} {first}" for first, name in by_channels.items())
        raise UnknownFamily(f"the highest resolution has {channels} channels; known are {known}")
    return by_channels[channels]


def _window(state: Mapping[str, Tensor], shapes: Shapes) -> int:
    """From the first bias table, else from the first position index, else the published 7."""
    tables = [shape[0] for key, shape in shapes.items() if key.endswith("bias_table")]
    indices = [value.shape[0] for key, value in state.items() if key.endswith("relative_position_index")]
    if tables:
        return window_of_table(tables[0])
    return round(indices[0] ** 0.5) if indices else 7


def _relative_bias(family: Family, shapes: Shapes) -> RelativeBias:
    if not any(key.endswith("bias_table") for key in shapes):
        return "absent"
    return "added" if family.adds_bias else "stored"
