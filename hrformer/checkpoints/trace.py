"""Intermediate tensors of a network by name, while it runs, in the layout of the reference cases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hrformer.modeling.backbone import Backbone
from hrformer.modeling.blocks import TransformerBlock
from hrformer.modeling.classification_head import ClassificationHead
from hrformer.modeling.fusion import ExchangeModule
from hrformer.modeling.network import Network
from hrformer.modeling.segmentation_head import SegmentationHead

Observe = Callable[[str, Tensor], None]

OUTPUTS = {"PoseHead": ("heatmaps",), "SegmentationHead": ("aux", "seg"), "ClassificationHead": ("logits",)}


@contextmanager
def observed(network: Network, observe: Observe) -> Iterator[None]:
    """While this is open, `observe(name, tensor)` is called for every named tensor of a forward pass.

    Names are those of the reference: `stem`, `stage1`, `stage2.in.0`, `stage2.block0.attn_tokens`, …,
    `head.logits`, `out.seg`. Maps are `(batch, channels, height, width)`, tokens `(batch, tokens, channels)`.
    """
    handles = list(_hooks(network, observe))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooks(network: Network, observe: Observe) -> Iterator[RemovableHandle]:
    yield from _backbone(network.backbone, observe)
    if isinstance(network.head, SegmentationHead):
        yield from _segmentation(network.head, observe)
    if isinstance(network.head, ClassificationHead):
        yield from _classification(network.head, observe)
    names = [f"out.{name}" for name in OUTPUTS[type(network.head).__name__]]
    yield _outputs(network, names, observe)


def _backbone(backbone: Backbone, observe: Observe) -> Iterator[RemovableHandle]:
    yield _outputs(backbone.stem, ["stem"], observe)
    yield _outputs(backbone.stage1, ["stage1"], observe)
    for number, stage in enumerate((backbone.stage2, backbone.stage3, backbone.stage4), start=2):
        maps = [str(branch) for branch in range(number)]
        yield _inputs(stage, [f"stage{number}.in.{branch}" for branch in maps], observe)
        yield from _block(_first_block(stage), f"stage{number}.block0", observe)
        yield _outputs(stage, [f"stage{number}.{branch}" for branch in maps], observe)


def _block(block: TransformerBlock, name: str, observe: Observe) -> Iterator[RemovableHandle]:
    yield _outputs(block.attention, [f"{name}.attn_tokens"], observe, _tokens)
    yield _outputs(block.feed_forward, [f"{name}.ffn_tokens"], observe, _tokens)
    yield _outputs(block, [name], observe, _channels_first)


def _first_block(stage: nn.Sequential) -> TransformerBlock:
    module = stage[0]
    assert isinstance(module, ExchangeModule)
    block = module.branches[0].get_submodule("0")
    assert isinstance(block, TransformerBlock)
    return block


def _segmentation(head: SegmentationHead, observe: Observe) -> Iterator[RemovableHandle]:
    yield _inputs(head.pixels, ["head.concat"], observe)
    yield _outputs(head.auxiliary, ["head.aux_logits"], observe)
    yield _outputs(head.pixels, ["head.pixels"], observe)
    yield _outputs(head.gather, ["head.proxies"], observe)
    yield _outputs(head.object_attention, ["head.context"], observe)
    yield _outputs(head.merge, ["head.ocr"], observe)
    yield _outputs(head.classify, ["head.logits"], observe)


def _classification(head: ClassificationHead, observe: Observe) -> Iterator[RemovableHandle]:
    for i, increase in enumerate(head.increase):
        yield _outputs(increase, [f"head.incre.{i}"], observe)
    for i, down in enumerate(head.down):
        yield _outputs(down, [f"head.down.{i}"], observe)
    yield _outputs(head.features, ["head.final"], observe)
    yield _inputs(head.classify, ["head.pooled"], observe)


def _outputs(
    module: nn.Module, names: list[str], observe: Observe, layout: Callable[[Tensor], Tensor] | None = None
) -> RemovableHandle:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        for name, tensor in zip(names, _several(output), strict=False):
            observe(name, layout(tensor) if layout else tensor)

    return module.register_forward_hook(hook)


def _inputs(module: nn.Module, names: list[str], observe: Observe) -> RemovableHandle:
    def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        for name, tensor in zip(names, _several(inputs[0]), strict=False):
            observe(name, tensor)

    return module.register_forward_pre_hook(hook)


def _several(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(1, 2)  # (batch, tokens, channels)


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)
