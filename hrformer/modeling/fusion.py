"""Exchange between resolutions, and the module that runs parallel branches before it."""

import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.modeling.blocks import TransformerBlock, conv_norm
from hrformer.modeling.config import BackboneConfig, Upsample


def enlarge(x: Tensor, factor: int, size: tuple[int, int], upsample: Upsample) -> Tensor:
    """The map `factor` times as large, then fitted to `size` (height, width) where the two differ.

    In the "nearest" form the fit has aligned corners and is the identity where sizes agree: what looks like a
    bilinear enlargement in the authors' code is in effect a nearest one.
    """
    mode = "bilinear" if upsample == "bilinear" else "nearest"
    x = F.interpolate(x, scale_factor=float(factor), mode=mode)
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=upsample == "nearest")


def downward(inputs: int, outputs: int, halvings: int) -> nn.Sequential:
    """For each halving depthwise 3×3 of stride 2, then 1×1; channels change in the last, without ReLU."""
    steps = []
    for step in range(halvings):
        last = step == halvings - 1
        steps.append(
            nn.Sequential(
                conv_norm(inputs, inputs, 3, stride=2, groups=inputs, relu=False),
                conv_norm(inputs, outputs if last else inputs, 1, relu=not last),
            )
        )
    return nn.Sequential(*steps)


class Fusion(nn.Module):
    """Output i = ReLU(sum over j of T_ij(x_j)), high to low resolution (arXiv:2110.09408, section 3.1).

    outputs: how many of the resolutions are fused; lower ones pass as they are.
    """

    def __init__(self, channels: tuple[int, ...], outputs: int, upsample: Upsample) -> None:
        super().__init__()
        self.upsample = upsample
        self.paths = nn.ModuleList(
            nn.ModuleList(self._path(channels, i, j) for j in range(len(channels))) for i in range(outputs)
        )

    @staticmethod
    def _path(channels: tuple[int, ...], i: int, j: int) -> nn.Module:
        if j == i:
            return nn.Identity()
        if j > i:
            return conv_norm(channels[j], channels[i], 1, relu=False)
        return downward(channels[j], channels[i], i - j)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fused = [self._output(i, maps) for i in range(len(self.paths))]
        return [*fused, *maps[len(fused) :]]

    def _output(self, i: int, maps: list[Tensor]) -> Tensor:
        height, width = maps[i].shape[2:]
        terms = [path(x) for path, x in zip(self.paths[i], maps, strict=True)]  # type: ignore[call-overload]
        terms[i + 1 :] = [
            enlarge(x, 2**steps, (height, width), self.upsample) for steps, x in enumerate(terms[i + 1 :], 1)
        ]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return F.relu(total)


class ExchangeModule(nn.Module):
    """Transformer blocks on each resolution in parallel, then the exchange between them."""

    def __init__(self, config: BackboneConfig, branches: int, outputs: int, drop_path: list[float]) -> None:
        super().__init__()
        channels = config.channels[:branches]
        self.branches = nn.ModuleList(
            nn.Sequential(*[TransformerBlock(c, h, config, rate) for rate in drop_path])
            for c, h in zip(channels, config.heads[:branches], strict=True)
        )
        self.fusion = Fusion(channels, outputs, config.upsample)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps `(batch, channels, height, width)`, from high to low resolution, in and out."""
        tokens = [x.permute(0, 2, 3, 1) for x in maps]  # (batch, height, width, channels)
        tokens = [branch(x) for branch, x in zip(self.branches, tokens, strict=True)]
        fused: list[Tensor] = self.fusion([x.permute(0, 3, 1, 2) for x in tokens])
        return fused
