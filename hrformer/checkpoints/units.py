"""Parts of the network run alone on reference inputs: transformer block, exchange module, fusion."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hrformer.checkpoints.errors import UnsupportedCase
from hrformer.checkpoints.families.table import Family
from hrformer.checkpoints.fill import KeyShape, fill_state
from hrformer.checkpoints.keys import shapes_of
from hrformer.checkpoints.options import attention_options, option
from hrformer.checkpoints.reference import Unit
from hrformer.checkpoints.translate import family_named, translate
from hrformer.modeling.blocks import TransformerBlock
from hrformer.modeling.config import BackboneConfig
from hrformer.modeling.fusion import ExchangeModule, Fusion
from hrformer.modeling.variants import variant


class _Part(NamedTuple):
    module: nn.Module
    theirs_below: str  # where it would stand in a backbone of the family
    ours_below: str  # and in one of ours


def run_unit(unit: Unit, inputs: list[Tensor]) -> list[Tensor]:
    """Outputs of the unit with filled weights; maps `(batch, channels, height, width)` in and out.

    raises: UnsupportedCase if it is no part that we know; KeysDoNotMatch if its keys are not those of the
    part.
    """
    family = family_named(unit.family)
    part = _part(unit, family)
    filled = fill_state(unit.keys, prefix=unit.prefix)
    state = {key: torch.from_numpy(values) for key, values in filled.items()}
    ours = shapes_of(part.module.state_dict())
    translated = translate(
        family,
        state,
        ours,
        theirs_below=family.backbone_prefix + part.theirs_below,
        ours_below=part.ours_below,
    )
    part.module.load_state_dict(translated)
    part.module.eval()
    with torch.inference_mode():
        if isinstance(part.module, TransformerBlock):
            return [part.module(inputs[0].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)]
        outputs: list[Tensor] = part.module(inputs)
        return outputs


def _part(unit: Unit, family: Family) -> _Part:
    config = _config(unit, family)
    if any(key.startswith("branches.") for key, _ in unit.keys):
        rates = [0.0] * option(unit.options, "blocks_per_branch", int)
        module = ExchangeModule(config, len(unit.inputs), len(unit.outputs), rates)
        return _Part(module, "stage2.0.", "backbone.stage2.0.")
    if any(key.startswith("fuse_layers.") for key, _ in unit.keys):
        fusion = Fusion(config.channels[: len(unit.inputs)], len(unit.outputs), config.upsample)
        return _Part(fusion, "stage2.0.", "backbone.stage2.0.fusion.")
    if any(key.startswith("attn.") for key, _ in unit.keys):
        block = TransformerBlock(config.channels[0], config.heads[0], config)
        return _Part(block, "stage2.0.branches.0.0.", "backbone.stage2.0.branches.0.0.")
    raise UnsupportedCase(f"{unit.name} is no transformer block, exchange module or fusion")


def _config(unit: Unit, family: Family) -> BackboneConfig:
    """A backbone whose first branches are those of the unit."""
    backbone = attention_options(variant("tiny", family.task).backbone, family, unit.options, unit.keys)
    return replace(
        backbone,
        channels=_four(unit.options.get("channels", unit.options.get("dim"))),
        heads=_four(unit.options.get("heads", 1)),
        feed_forward_ratio=_ratio(unit.keys),
    )


def _four(value: object) -> tuple[int, int, int, int]:
    """As many numbers as a backbone has branches; those past the unit's own are never built."""
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, int) for number in numbers):
        raise UnsupportedCase(f"channels and heads are numbers, not {value!r}")
    first, second, third, fourth = (*numbers, 1, 1, 1, 1)[:4]
    return first, second, third, fourth


def _ratio(keys: tuple[KeyShape, ...]) -> int:
    shapes = [shape for key, shape in keys if key.endswith("fc1.weight")]
    return shapes[0][0] // shapes[0][1] if shapes else 4
