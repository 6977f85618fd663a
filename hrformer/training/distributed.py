"""Several processes that train one network, each on its part of every batch.

`torchrun` starts them and tells each by its environment which one it is. In a process alone, all of this
leaves things as they are.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hrformer.engine.device import choose_device
from hrformer.training.batch_norm import share_statistics

PATIENCE = timedelta(hours=12)  # how long a process waits for another: the first one validates alone


@dataclass(frozen=True)
class Ranks:
    """Which process this is, of how many."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that measures, reports and saves."""
        return self.rank == 0

    def part(self, rows: int) -> slice:
        """Its rows of a global batch."""
        return slice(self.rank * rows // self.count, (self.rank + 1) * rows // self.count)


@dataclass(frozen=True)
class Agreement:
    """What every process knows alike after a step."""

    loss: float  # mean over the global batch
    asked: bool  # whether any of them has been asked to stop
    seconds: float  # by the clock of the first one


def ranks() -> Ranks:
    """Which process it is here, among those that have joined."""
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks()


def started() -> Ranks:
    """Which process it is here, among those that `torchrun` has started, joined or not."""
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(device_name: str) -> Iterator[torch.device]:
    """While entered, this process is one of those that `torchrun` has started; gives its device.

    device_name: as for `choose_device`; several processes take a GPU each, in their order, or the CPU.
    raises: ValueError if there is no such device.
    """
    if started().count == 1:
        yield choose_device(device_name)
        return
    device = _own_device(device_name, int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def _own_device(name: str, number: int) -> torch.device:
    device = choose_device(name)
    if ":" in name:
        raise ValueError(f"several processes cannot share the device {name!r}; give auto, cuda or cpu")
    return device if device.type == "cpu" else choose_device(f"{device.type}:{number}")


def described(device: torch.device) -> str:
    """The device in words, and how many processes there are if there are several."""
    count = ranks().count
    return str(device) if count == 1 else f"{device.type} in {count} processes"


def check_batch(batch_size: int) -> None:
    """raises: ValueError if the processes cannot share a batch of this size evenly."""
    count = ranks().count
    if batch_size % count:
        nearest = max(count, batch_size // count * count)
        raise ValueError(
            f"batch_size is {batch_size}, which {count} processes cannot share evenly; "
            f"set batch_size={nearest} or another multiple of {count}"
        )


def seed_step(seed: int, step: int) -> None:
    """Sets the generator of dropped paths and channels for a step: its own in each step and process.

    So a run that is resumed has them as if it had not stopped, on any device.
    """
    torch.manual_seed(random.Random(f"{seed} {step} {ranks().rank}").getrandbits(63))


def spread(network: nn.Module, device: torch.device) -> Callable[[Tensor], Any]:
    """The network's forward pass on this process's part of a batch; gradients are those of the whole batch.

    That holds where the loss of a part is a mean over it, or comes from `mean_over_all`.
    """
    if ranks().count == 1:
        return network
    share_statistics(network)
    return nn.parallel.DistributedDataParallel(
        network,
        device_ids=[device] if device.type == "cuda" else None,
        static_graph=True,  # some networks have bias tables that they do not use
    )


def summed(values: Tensor) -> Tensor:
    """The sum over the processes, on each of them; no gradient passes."""
    values = values.detach().clone()
    if ranks().count > 1:
        dist.all_reduce(values)
    return values


def gathered(values: Tensor) -> Tensor:
    """The values of all processes, of the same shape on each, one after the other; no gradient passes."""
    if ranks().count == 1:
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(ranks().count)]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def mean_over_all(total: Tensor, count: Tensor, *, at_least: float = 0.0) -> Tensor:
    """`total / count` with both summed over the processes, as far as this one has a part in it.

    The average over the processes, of these values as of their gradients, is that of the global batch.
    at_least: what the count of all is taken for if it is smaller.
    """
    return total * ranks().count / summed(count).clamp(min=at_least)


def wait_for_all() -> None:
    """Returns once every process has come here: until then `torchrun` would end those that have not."""
    if ranks().count > 1:
        dist.barrier()


def agree(loss: Tensor, *, asked: bool, seconds: float) -> Agreement:
    """What the processes know together, in one message."""
    own = ranks()
    clock = seconds if own.is_first else 0.0
    message = torch.tensor([0.0, float(asked), clock], dtype=torch.float64, device=loss.device)
    message[0] = loss.detach()
    total = summed(message).tolist()
    return Agreement(loss=total[0] / own.count, asked=total[1] > 0, seconds=total[2])
