"""A published checkpoint → a network of ours, strictly."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from hrformer.checkpoints.configuration import task_of, variant_of
from hrformer.checkpoints.detect import detect_config, detect_family
from hrformer.checkpoints.errors import CheckpointError
from hrformer.checkpoints.families.hrformer_segmentation import HRFORMER_SEGMENTATION
from hrformer.checkpoints.families.table import Family
from hrformer.checkpoints.keys import shapes_of
from hrformer.checkpoints.manifest import Entry, PixelFormat
from hrformer.checkpoints.read import read_checkpoint
from hrformer.checkpoints.resize import resize_bias_tables
from hrformer.checkpoints.translate import family_named, translate
from hrformer.modeling.config import (
    BackboneConfig,
    NetworkConfig,
    PeopleHeadConfig,
    PoseHeadConfig,
    RelativeBias,
)
from hrformer.modeling.network import Network

INPUT_SIZES = {"pose": (256, 192), "segmentation": (512, 1024), "classification": (224, 224)}


@dataclass(frozen=True)
class Conversion:
    """What a checkpoint cannot say about itself, or should be made to say."""

    family: str = "auto"  # hrformer-pose, mmpose-1.x, hrformer-seg, hrformer-cls, or auto: by the keys
    window: int | None = None  # of the network that comes out; by default as the checkpoint's
    relative_bias: RelativeBias | None = None  # whether the tables are added; by default as the family does
    mask_padding: bool = False  # mmpose's with_pad_mask, which the keys do not show


def convert(source: Path, conversion: Conversion = Conversion()) -> tuple[Network, Family]:
    """The network of a published checkpoint, in eval mode, and the family that it is of.

    raises: CheckpointError kin: the file is unreadable or hostile, its family unknown, or a key unknown,
    missing or of another shape.
    """
    state = read_checkpoint(source)
    family = detect_family(state) if conversion.family == "auto" else family_named(conversion.family)
    return network_of(family, _without_aliases(family, state), conversion), family


def network_of(family: Family, state: Mapping[str, Tensor], conversion: Conversion = Conversion()) -> Network:
    """The network of a family's state_dict, in eval mode. raises: CheckpointError kin, as `convert`."""
    config = detect_config(family, state)
    network = Network(config)
    translated = translate(family, state, shapes_of(network.state_dict()))
    strange = [key for key, value in translated.items() if not value.isfinite().all()]
    if strange:
        raise CheckpointError(f"{len(strange)} tensors are not finite, the first goes to {strange[0]}")
    backbone = _chosen(config.backbone, conversion)
    if backbone != config.backbone:
        network = Network(replace(config, backbone=backbone))
    network.load_state_dict(resize_bias_tables(translated, backbone.window_size))
    return network.eval()


def entry_for(network: Network, family: Family, name: str, directory: Path, precision: str) -> Entry:
    """The manifest's entry of a converted network, not yet written to its file."""
    task = task_of(network.config)
    return Entry(
        name=name,
        task=task,
        variant=variant_of(network.config.backbone),
        file=directory.resolve() / f"{name}.safetensors",
        sha256="",
        input_sizes=(INPUT_SIZES[task],),
        precision=precision,
        config=network.config,
        labels=_labels(network.config),
        pixels=PixelFormat(order="bgr" if family is HRFORMER_SEGMENTATION else "rgb"),
        decode={"refine": "shift"} if task == "pose" else {},
        description=f"converted from a {family.name} checkpoint",
    )


def _chosen(backbone: BackboneConfig, conversion: Conversion) -> BackboneConfig:
    if backbone.relative_bias == "absent" and conversion.relative_bias in ("added", "stored"):
        raise CheckpointError(
            f"the checkpoint has no bias tables, so the bias cannot be {conversion.relative_bias}"
        )
    if conversion.relative_bias == "absent" and backbone.relative_bias != "absent":
        raise CheckpointError("the checkpoint has bias tables; choose whether they are added or only stored")
    return replace(
        backbone,
        window_size=conversion.window or backbone.window_size,
        relative_bias=conversion.relative_bias or backbone.relative_bias,
        mask_padding=conversion.mask_padding,
    )


def _without_aliases(family: Family, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = dict(state)
    for old, new in family.aliases.items():
        renamed = {
            new + key.removeprefix(old) if key.startswith(old) else key: v for key, v in renamed.items()
        }
    return renamed


def _labels(config: NetworkConfig) -> str:
    if isinstance(config.head, PoseHeadConfig):
        return "coco" if config.head.joints == 17 else f"{config.head.joints}-joints"
    assert not isinstance(config.head, PeopleHeadConfig), "no published family finds people"
    return f"{config.head.classes}-classes"
