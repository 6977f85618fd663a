"""Stem and four stages: a picture in, one map for each resolution out."""

import torch
from torch import Tensor, nn

from hrformer.modeling.blocks import Bottleneck, conv_norm
from hrformer.modeling.config import BackboneConfig
from hrformer.modeling.fusion import ExchangeModule

STEM_CHANNELS = 64
STAGE1_CHANNELS = 256


class Backbone(nn.Module):
    """High-resolution transformer backbone (arXiv:2110.09408, figure 2)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        c1, c2, c3, c4 = config.channels
        self.stem = nn.Sequential(
            conv_norm(3, STEM_CHANNELS, 3, stride=2), conv_norm(STEM_CHANNELS, STEM_CHANNELS, 3, stride=2)
        )
        self.stage1 = nn.Sequential(
            Bottleneck(STEM_CHANNELS, STAGE1_CHANNELS // 4), Bottleneck(STAGE1_CHANNELS, STAGE1_CHANNELS // 4)
        )
        self.transition1 = nn.ModuleList(
            [conv_norm(STAGE1_CHANNELS, c1, 3), conv_norm(STAGE1_CHANNELS, c2, 3, stride=2)]
        )
        self.transition2 = conv_norm(c2, c3, 3, stride=2)
        self.transition3 = conv_norm(c3, c4, 3, stride=2)
        self.stage2 = self._stage(config, 2)
        self.stage3 = self._stage(config, 3)
        self.stage4 = self._stage(config, 4)

    @staticmethod
    def _stage(config: BackboneConfig, stage: int) -> nn.Sequential:
        rates = drop_path_rates(config)[stage - 2]
        modules = [ExchangeModule(config, stage, stage, rates_of_module) for rates_of_module in rates[:-1]]
        outputs = 1 if stage == 4 and config.outputs == "highest" else stage
        return nn.Sequential(*modules, ExchangeModule(config, stage, outputs, rates[-1]))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps at 1/4, 1/8, 1/16 and 1/32 of normalised `(batch, 3, height, width)`.

        Where the configuration's `outputs` is "highest", the lower ones are as stage 4's blocks made them.
        """
        x = self.stage1(self.stem(images))
        maps = self.stage2([transition(x) for transition in self.transition1])
        maps = self.stage3([*maps, self.transition2(maps[-1])])
        fused: list[Tensor] = self.stage4([*maps, self.transition3(maps[-1])])
        return fused


def drop_path_rates(config: BackboneConfig) -> list[list[list[float]]]:
    """Rate of each block by stage, module and depth in the module; all branches of a module share it."""
    rates = iter(
        torch.linspace(0, config.drop_path, config.blocks * sum(config.modules), device="cpu").tolist()
    )
    return [
        [[next(rates) for _ in range(config.blocks)] for _ in range(modules)] for modules in config.modules
    ]
