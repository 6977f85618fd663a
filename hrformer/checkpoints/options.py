"""Options of reference cases → configurations of our networks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hrformer.checkpoints.errors import UnsupportedCase
from hrformer.checkpoints.families.table import Family
from hrformer.checkpoints.fill import KeyShape
from hrformer.checkpoints.reference import Case
from hrformer.checkpoints.translate import family_named
from hrformer.modeling.config import BackboneConfig, NetworkConfig, RelativeBias, Upsample
from hrformer.modeling.variants import variant

T = TypeVar("T")

UPSAMPLES: Mapping[str, Upsample] = {
    "bilinear_ac_false": "bilinear",
    "nearest_then_resize_ac_true": "nearest",
}


def option(options: Mapping[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    """The option's value, the default if it is absent or null. raises: UnsupportedCase if of another type."""
    value = options.get(name)
    value = default if value is None else value
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UnsupportedCase(f"option {name!r} is {options.get(name)!r}, not of type {kind.__name__}")
    return value


def case_config(case: Case, keys: Sequence[KeyShape]) -> NetworkConfig:
    """The network that the case ran. raises: UnsupportedCase or ValueError kin if we have none such."""
    family = family_named(case.family)
    for name, only in (("mode", "eval"), ("head_align_corners", True)):
        if option(case.options, name, type(only), only) != only:
            raise UnsupportedCase(f"option {name!r} is {case.options[name]!r}; only {only!r} is known")
    outputs = option(case.options, "num_joints" if family.task == "pose" else "num_classes", int)
    config = variant(case.variant, family.task, outputs)
    backbone = attention_options(config.backbone, family, case.options, keys)
    lower_outputs = f"stage4.{backbone.modules[2] - 1}.fuse_layers.1."
    every_output = any(lower_outputs in key for key, _ in keys)
    return replace(config, backbone=replace(backbone, outputs="all" if every_output else "highest"))


def attention_options(
    backbone: BackboneConfig, family: Family, options: Mapping[str, Any], keys: Sequence[KeyShape]
) -> BackboneConfig:
    """The backbone with window, bias, mask and enlargement as the options say, else as the family has them.

    raises: UnsupportedCase if an option has a value that we do not know.
    """
    published = next(name for name, value in UPSAMPLES.items() if value == backbone.upsample)
    upsample = option(options, "fuse_upsample", str, published)
    if upsample not in UPSAMPLES:
        raise UnsupportedCase(f"option 'fuse_upsample' is {upsample!r}; known are {', '.join(UPSAMPLES)}")
    return replace(
        backbone,
        window_size=option(options, "window", int, backbone.window_size),
        relative_bias=_relative_bias(option(options, "relative_bias", bool, family.adds_bias), keys),
        mask_padding=option(options, "pad_mask", bool, False),
        upsample=UPSAMPLES[upsample],
    )


def _relative_bias(added: bool, keys: Sequence[KeyShape]) -> RelativeBias:
    if added:
        return "added"
    return "stored" if any(key.endswith("relative_position_bias_table") for key, _ in keys) else "absent"
