"""A network from its configuration: backbone, then head."""

from typing import Any

from torch import Tensor, nn

from hrformer.modeling.backbone import Backbone
from hrformer.modeling.classification_head import ClassificationHead
from hrformer.modeling.config import HeadConfig, NetworkConfig, PoseHeadConfig, SegmentationHeadConfig
from hrformer.modeling.feed_forward import FeedForward
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
        each `(batch, classes, height, width)`; classification: logits `(batch, classes)`.
        """
        return self.head(self.backbone(images), (images.shape[2], images.shape[3]))


def _head(config: NetworkConfig) -> nn.Module:
    head: HeadConfig = config.head
    if isinstance(head, PoseHeadConfig):
        return PoseHead(config.backbone, head)
    if isinstance(head, SegmentationHeadConfig):
        return SegmentationHead(config.backbone, head)
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


def create_model(name: str = "small", task: str = "pose", *, outputs: int | None = None) -> Network:
    """The plain training form with fresh weights.

    name: "tiny", "small" or "base". task: "pose", "segmentation" or "classification". outputs: joints or
    classes.
    raises: ValueError if the name or the task is unknown.
    """
    return build(variant(name, task, outputs))
