"""Batch norms put into the convolutions before them, as they are in evaluation: a pass over each map less."""

import copy
import itertools

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from hrformer.modeling.feed_forward import FeedForward
from hrformer.modeling.network import Network


def folded(network: Network) -> Network:
    """A copy in evaluation mode, whose outputs differ by rounding; the network itself stays as it is."""
    copied = copy.deepcopy(network).eval()
    for module in list(copied.modules()):
        if isinstance(module, FeedForward):
            for name in ("expand", "depthwise", "reduce"):
                _fold(module, name, f"{name}_norm")
        elif isinstance(module, nn.Sequential):
            for (name, _), (following, _) in itertools.pairwise(list(module.named_children())):
                _fold(module, name, following)
    return copied


def _fold(parent: nn.Module, name: str, following: str) -> None:
    """If these are a convolution and its norm."""
    convolution, norm = parent.get_submodule(name), parent.get_submodule(following)
    if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        setattr(parent, name, fuse_conv_bn_eval(convolution, norm))
        setattr(parent, following, nn.Identity())
