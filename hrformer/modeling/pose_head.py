"""Heatmaps from the highest resolution."""

from torch import Tensor, nn

from hrformer.modeling.config import BackboneConfig, PoseHeadConfig


class PoseHead(nn.Module):
    """One 1×1 convolution; a heatmap has a quarter of the input's height and width."""

    def __init__(self, backbone: BackboneConfig, config: PoseHeadConfig) -> None:
        super().__init__()
        self.heatmaps = nn.Conv2d(backbone.channels[0], config.joints, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """`(batch, joints, height / 4, width / 4)`; the input's size is not needed."""
        heatmaps: Tensor = self.heatmaps(maps[0])
        return heatmaps
