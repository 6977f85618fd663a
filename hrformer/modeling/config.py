"""What a network is made of, as values: frozen dataclasses that a variant fills in."""

from dataclasses import dataclass
from typing import Literal

# "added": the bias enters the attention scores. "stored": the tables exist and are never used, as in the
# authors' pose network. "absent": no tables, as in mmpose without `with_rpe`.
RelativeBias = Literal["added", "stored", "absent"]

# "bilinear": corners not aligned, by the factor, then to the size. "nearest": by the factor, then a bilinear
# resize with aligned corners to the size.
Upsample = Literal["bilinear", "nearest"]


@dataclass(frozen=True)
class BackboneConfig:
    """High-resolution transformer (arXiv:2110.09408, table 1)."""

    channels: tuple[int, int, int, int]  # of the maps at 1/4, 1/8, 1/16 and 1/32
    heads: tuple[int, int, int, int]  # attention heads of each branch
    modules: tuple[int, int, int]  # exchange modules of stages 2, 3 and 4
    blocks: int = 2  # transformer blocks in a branch of a module
    feed_forward_ratio: int = 4  # hidden channels of the feed-forward over the branch's channels
    window_size: int = 7  # tokens on a side of an attention window
    relative_bias: RelativeBias = "added"
    mask_padding: bool = False  # mmpose's `with_pad_mask`: padded keys are masked where both axes are padded
    upsample: Upsample = "bilinear"
    outputs: Literal["highest", "all"] = "all"  # resolutions that the last module fuses; the others pass
    drop_path: float = 0.0  # rate of the deepest block, 0 to below 1; the others rise linearly from 0


@dataclass(frozen=True)
class PoseHeadConfig:
    """Heatmaps from the highest resolution."""

    joints: int = 17


@dataclass(frozen=True)
class SegmentationHeadConfig:
    """Object-contextual representations (arXiv:1909.11065) over all resolutions."""

    classes: int
    channels: int = 512  # of the pixel features; 512 in every published model
    key_channels: int = 256  # of queries, keys and values
    dropout: float = 0.05  # share of channels dropped before the classifier, in training


@dataclass(frozen=True)
class ClassificationHeadConfig:
    """All resolutions brought down to the lowest, then the mean over positions."""

    classes: int = 1000


@dataclass(frozen=True)
class PeopleHeadConfig:
    """Centres and boxes of people from the highest resolution, and what the lower ones add."""

    channels: int = 64  # of each tower


HeadConfig = PoseHeadConfig | SegmentationHeadConfig | ClassificationHeadConfig | PeopleHeadConfig


@dataclass(frozen=True)
class NetworkConfig:
    """A backbone and the head on it."""

    backbone: BackboneConfig
    head: HeadConfig
