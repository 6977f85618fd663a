"""Batch norm over the batches of all processes.

torch's SyncBatchNorm does the same on GPUs and refuses the CPU, where it could not be tried.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

OVER = (0, 2, 3)  # batch, height and width


class SharedBatchNorm2d(nn.BatchNorm2d):
    """In training, mean and variance are those of all processes' batches, which are equally large.

    Parameters, buffers and their keys are those of the plain one; in evaluation it is the plain one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)` in and out."""
        if not self.training:
            return super().forward(x)
        y, mean, variance = _Normalise.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._note(mean, variance, count=_processes() * x.numel() // x.shape[1])
        return y  # type: ignore[no-any-return]

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the running statistics, whose variance is the unbiased one."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


class _Normalise(torch.autograd.Function):
    """Batch norm by the statistics of all processes, with the gradient that goes through them."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = x.to(weight.dtype)
        variance, mean = torch.var_mean(wide, OVER, correction=0)
        if _processes() > 1:
            mean, variance = _over_all(mean, variance)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.mark_non_differentiable(mean, variance)
        y = F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)
        return y, mean, variance

    @staticmethod
    def backward(
        ctx: Any, grad: Tensor, _mean: Tensor, _variance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, inverse_deviation = ctx.saved_tensors
        wide = grad.to(weight.dtype)
        scaled = (x.to(weight.dtype) - _shaped(mean)) * _shaped(inverse_deviation)
        own = torch.stack([wide.sum(OVER), (wide * scaled).sum(OVER)])
        everyones = own.clone()
        if _processes() > 1:
            dist.all_reduce(everyones)
        along, across = everyones * (x.shape[1] / (_processes() * x.numel()))
        inner = wide - _shaped(along) - scaled * _shaped(across)
        return (inner * _shaped(weight * inverse_deviation)).to(x.dtype), own[1], own[0], None


def _over_all(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of equally large parts together, from theirs."""
    own = torch.stack([mean, variance])
    parts = [torch.empty_like(own) for _ in range(_processes())]
    dist.all_gather(parts, own)
    means, variances = torch.stack(parts).unbind(dim=1)
    return means.mean(dim=0), variances.mean(dim=0) + means.var(dim=0, correction=0)


def _shaped(channels: Tensor) -> Tensor:
    return channels[:, None, None]


def _processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def share_statistics(network: nn.Module) -> None:
    """Puts a `SharedBatchNorm2d` in the place of every batch norm; parameters and buffers stay the same."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm2d(child.num_features)
            shared.__dict__ = child.__dict__
            setattr(network, name, shared)
        else:
            share_statistics(child)
