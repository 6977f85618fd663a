"""All resolutions brought down to the lowest, then classified (HRNet's head with depthwise convolutions)."""

from torch import Tensor, nn

from hrformer.modeling.blocks import Bottleneck, conv_norm
from hrformer.modeling.config import BackboneConfig, ClassificationHeadConfig

WIDTHS = (32, 64, 128, 256)  # inner channels of the bottleneck on each resolution, the same for T, S and B
FEATURES = 2048


class ClassificationHead(nn.Module):
    """Class logits from all four maps (arXiv:2110.09408, section 3.3)."""

    def __init__(self, backbone: BackboneConfig, config: ClassificationHeadConfig) -> None:
        super().__init__()
        self.increase = nn.ModuleList(
            Bottleneck(channels, width, depthwise=True)
            for channels, width in zip(backbone.channels, WIDTHS, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Sequential(
                conv_norm(4 * width, 4 * width, 3, stride=2, groups=4 * width, bias=True, relu=False),
                conv_norm(4 * width, 8 * width, 1, bias=True),
            )
            for width in WIDTHS[:-1]
        )
        self.features = conv_norm(4 * WIDTHS[-1], FEATURES, 1, bias=True)
        self.classify = nn.Linear(FEATURES, config.classes)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """`(batch, classes)`; the input's size is not needed."""
        total = self.increase[0](maps[0])
        for increase, down, x in zip(list(self.increase)[1:], self.down, maps[1:], strict=True):
            total = increase(x) + down(total)
        logits: Tensor = self.classify(self.features(total).mean(dim=(2, 3)))
        return logits
