"""A network from its configuration: backbone, then head."""

import math
from typing import Any

from torch import Tensor, nn

from hrformer.modeling.backbone import Backbone
from hrformer.modeling.classification_head import ClassificationHead
from hrformer.modeling.config import (
    HeadConfig,
    NetworkConfig,
    PeopleHeadConfig,
    PoseHeadConfig,
    SegmentationHeadConfig,
)
from hrformer.modeling.feed_forward import FeedForward
from hrformer.modeling.people_head import PeopleHead
from hrformer.modeling.pose_head import PoseHead
from hrformer.modeling.segmentation_head import SegmentationHead
from hrformer.modeling.variants import variant


class Network(nn.Module):
    """HRFormer for one task, in its training form."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        self.head = _head(config)

    def forward(self, images: Tensor) -> Any:
        """What the head makes of normalised images `(batch, 3, height, width)`.

        pose: heatmaps `(batch, joints, height / 4, width / 4)`; segmentation: auxiliary and final logits,
        each `(batch, classes, height, width)`; classification: logits `(batch, classes)`; people: centre
        logits `(batch, height / 4, width / 4)` and distances to the box's sides, four such maps, in px.
        """
        return self.head(self.backbone(images), (images.shape[2], images.shape[3]))


def _head(config: NetworkConfig) -> nn.Module:
    head: HeadConfig = config.head
    if isinstance(head, PoseHeadConfig):
        return PoseHead(config.backbone, head)
    if isinstance(head, SegmentationHeadConfig):
        return SegmentationHead(config.backbone, head)
    if isinstance(head, PeopleHeadConfig):
        return PeopleHead(config.backbone, head)
    return ClassificationHead(config.backbone, head)


def build(config: NetworkConfig) -> Network:
    """A network with fresh weights, in training mode."""
    network = Network(config)
    network.apply(_initialise)
    return network


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, FeedForward):
        # A block starts as the identity, so that 38 to 44 of them learn from the first steps on.
        nn.init.zeros_(module.reduce_norm.weight)
    elif isinstance(module, PoseHead):
        nn.init.normal_(module.heatmaps.weight, std=0.001)
    elif isinstance(module, PeopleHead):
        _initialise_people(module)


def _initialise_people(head: PeopleHead) -> None:
    """Everywhere a person of 40 px, with a probability of 0.1, as focal loss wants it (arXiv:1708.02002)."""
    for convolution, bias in ((head.centres, -math.log(9)), (head.sides, math.log(5))):
        nn.init.normal_(convolution.weight, std=0.001)
        assert convolution.bias is not None
        nn.init.constant_(convolution.bias, bias)
    for norm in head.context.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.zeros_(norm.weight)  # says nothing at first: weights without it go on as they were


def create_model(name: str = "small", task: str = "pose", *, outputs: int | None = None) -> Network:
    """The plain training form with fresh weights.

    name: "tiny", "small" or "base". task: "pose", "segmentation", "classification" or "people". outputs:
    joints or classes; for people, channels of the head.
    raises: ValueError if the name or the task is unknown.
    """
    return build(variant(name, task, outputs))
