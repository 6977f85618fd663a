"""Operations that stand next to each other run as one, by oneDNN, on a CPU in float32, over memory once.

Left to itself, torch gives 1×1 convolutions of fewer than 16 pictures on one thread to another library, with
a change of layout before and after each, and an activation is a pass over its map. The operations used here
are those of torch's own compiler. Results differ from the network's by rounding.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.engine.onednn import convolve, convolve_onto, multiply
from hrformer.modeling.attention import WindowAttention
from hrformer.modeling.blocks import Bottleneck
from hrformer.modeling.feed_forward import FeedForward
from hrformer.modeling.windows import from_windows, to_windows, window_grid


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `fused` has a form for what runs there."""
    return device.type == "cpu" and dtype == torch.float32 and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def fused(module: nn.Module) -> nn.Module:
    """The module in a form for evaluation, of the same weights; its batch norms must have been folded."""
    for form, make in _FORMS.items():
        if isinstance(module, form):
            return make(module)
    if isinstance(module, nn.Sequential):
        return _fused_sequence(module)
    for name, child in module.named_children():
        setattr(module, name, fused(child))
    return module


def _fused_sequence(modules: nn.Sequential) -> nn.Sequential:
    """Each convolution with the ReLU after it."""
    steps: list[nn.Module] = []
    for module in modules:
        if isinstance(module, nn.ReLU) and steps and isinstance(steps[-1], Convolution):
            steps[-1].activation = "relu"
        elif not isinstance(module, nn.Identity):
            steps.append(fused(module))
    return nn.Sequential(*steps)


class Convolution(nn.Module):
    """A convolution and what is done to its result: "none", "relu" or "gelu"."""

    def __init__(self, convolution: nn.Conv2d, activation: str = "none") -> None:
        super().__init__()
        self.weight, self.bias, self.activation = convolution.weight, convolution.bias, activation
        padding, stride, dilation = convolution.padding, convolution.stride, convolution.dilation
        assert not isinstance(padding, str)
        self.padding, self.stride, self.dilation = list(padding), list(stride), list(dilation)
        self.groups = convolution.groups

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)` in and out."""
        return convolve(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, self.activation
        )

    def onto(self, x: Tensor, other: Tensor) -> Tensor:
        """ReLU of the sum with another map."""
        return convolve_onto(
            x, other, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )


class Product(nn.Module):
    """A linear layer."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        """`(…, inputs)` → `(…, outputs)`."""
        return multiply(x, self.weight, self.bias)


class FusedFeedForward(nn.Module):
    """`FeedForward`: three convolutions, each with its GELU."""

    def __init__(self, module: FeedForward) -> None:
        super().__init__()
        convolutions = (module.expand, module.depthwise, module.reduce)
        self.steps = nn.Sequential(*[Convolution(convolution, "gelu") for convolution in convolutions])

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, height, width, channels)` in and out."""
        mixed: Tensor = self.steps(x.permute(0, 3, 1, 2))
        return mixed.permute(0, 2, 3, 1)


class FusedBottleneck(nn.Module):
    """`Bottleneck`: the last convolution is added to the shortcut as it is computed."""

    def __init__(self, module: Bottleneck) -> None:
        super().__init__()
        self.steps = nn.Sequential(fused(module.reduce), fused(module.convolve))
        (expand,) = _fused_sequence(module.expand)
        assert isinstance(expand, Convolution)
        self.expand = expand
        self.shortcut = fused(module.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)` in and out."""
        return self.expand.onto(self.steps(x), self.shortcut(x))


class FusedAttention(nn.Module):
    """`WindowAttention` without masks: one operation from queries, keys and values to what is attended."""

    def __init__(self, module: WindowAttention) -> None:
        super().__init__()
        self.heads, self.head_dim, self.window_size = module.heads, module.head_dim, module.window_size
        self.qkv = Product(module.qkv.weight, module.qkv.bias)
        self.projection = Product(module.projection.weight, module.projection.bias)
        self.added = module.bias()[None].detach().contiguous() if module.adds_bias else None

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, height, width, channels)` in and out."""
        grid = window_grid(x.shape[1], x.shape[2], self.window_size)
        windows = to_windows(x, grid, self.window_size)  # (windows, tokens, channels)
        q, k, v = self.qkv(windows).unflatten(-1, (3, self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=self.added)
        return from_windows(self.projection(attended.transpose(1, 2).flatten(2)), grid, self.window_size)


def _fused_attention(module: WindowAttention) -> nn.Module:
    return module if module.mask_padding else FusedAttention(module)


_FORMS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Conv2d: Convolution,
    nn.Linear: lambda module: Product(module.weight, module.bias),
    FeedForward: FusedFeedForward,
    Bottleneck: FusedBottleneck,
    WindowAttention: _fused_attention,
}
