"""Which parameters decay, and the optimiser over them."""

import torch
from torch import nn


def adamw(
    network: nn.Module, *, learning_rate: float, weight_decay: float, decay_vectors: bool = True
) -> torch.optim.AdamW:
    """AdamW with betas 0.9 and 0.999; relative position bias tables never decay.

    decay_vectors: whether norms and biases decay too, as in the paper's pose recipe; not so in the others.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        spared = name.endswith("bias_table") or (parameter.dim() == 1 and not decay_vectors)
        (kept if spared else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8)
