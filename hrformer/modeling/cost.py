"""What a network costs: parameters, and exact multiply-adds of one picture."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.hooks import RemovableHandle

from hrformer.modeling.attention import WindowAttention
from hrformer.modeling.network import Network
from hrformer.modeling.segmentation_head import Gather, ObjectAttention


@dataclass(frozen=True)
class Cost:
    """Multiply-adds by kind. Norms, activations, sums and enlargements count nothing."""

    convolution: int = 0
    linear: int = 0  # projections of the attention, and the classifier
    attention: int = 0  # query times key, and weights times value
    context: int = 0  # the products of object-contextual representations
    padding: int = 0  # how much of linear and attention goes to tokens outside the map

    @property
    def total(self) -> int:
        """As computed, with the padding of the windows."""
        return self.convolution + self.linear + self.attention + self.context

    @property
    def without_padding(self) -> int:
        """What would be left if windows held nothing but tokens of the map."""
        return self.total - self.padding

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(mine + yours for mine, yours in zip(astuple(self), astuple(other), strict=True)))


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers, also those that a network stores and never uses."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: Network, height: int, width: int) -> Cost:
    """Exact multiply-adds of one picture of this size, counted in a forward pass without numbers."""
    counted: list[Cost] = []
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    shadows = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    handles = list(_counters(network, counted))
    was_training = network.training
    try:
        network.eval()
        with torch.inference_mode():
            functional_call(network, shadows, (torch.empty(1, 3, height, width, device="meta"),))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return sum(counted, Cost())


def _counters(network: nn.Module, counted: list[Cost]) -> Iterator[RemovableHandle]:
    def convolution(module: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        positions = output.shape[2] * output.shape[3]
        counted.append(Cost(convolution=positions * module.weight.numel()))

    def classifier(module: nn.Module, _: Any, __: Tensor) -> None:
        assert isinstance(module, nn.Linear)
        counted.append(Cost(linear=module.weight.numel()))

    def attention(module: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
        assert isinstance(module, WindowAttention)
        counted.append(_window_attention(module, inputs[0].shape[1], inputs[0].shape[2]))

    def context(module: nn.Module, inputs: tuple[Tensor, Tensor], _: Tensor) -> None:
        counted.append(_context(module, *inputs))

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield module.register_forward_hook(convolution)
        elif isinstance(module, nn.Linear) and name.startswith("head."):
            yield module.register_forward_hook(classifier)
        elif isinstance(module, WindowAttention):
            yield module.register_forward_hook(attention)
        elif isinstance(module, Gather | ObjectAttention):
            yield module.register_forward_hook(context)


def _window_attention(module: WindowAttention, height: int, width: int) -> Cost:
    """Four projections of each token; then each token with all of its window, twice."""
    side, channels = module.window_size, module.heads * module.head_dim
    tokens = -(-height // side) * -(-width // side) * side * side
    linear, attention = 4 * channels**2, 2 * side * side * channels  # for one token
    padding = (tokens - height * width) * (linear + attention)
    return Cost(linear=tokens * linear, attention=tokens * attention, padding=padding)


def _context(module: nn.Module, pixels: Tensor, others: Tensor) -> Cost:
    """`others` are class logits where proxies are gathered, and the proxies where pixels attend to them."""
    positions = pixels.shape[2] * pixels.shape[3]
    if isinstance(module, ObjectAttention):
        return Cost(context=2 * positions * others.shape[2] * module.key_channels)
    return Cost(context=positions * others.shape[1] * pixels.shape[1])
