"""Averaged weights: what is evaluated and kept."""

import copy

import torch

from hrformer.modeling.network import Network


class AveragedNetwork:
    """Exponential moving average of a network's parameters and buffers.

    The decay rises with the steps, `min(decay, (1 + n) / (10 + n))`: fresh weights are soon forgotten.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: Network) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged = [v for v in self.network.state_dict().values() if v.is_floating_point()]
        current = [v for v in network.state_dict().values() if v.is_floating_point()]
        torch._foreach_lerp_(averaged, current, 1 - decay)
