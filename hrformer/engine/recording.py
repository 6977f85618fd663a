"""A network's operations, recorded once and then replayed without Python.

Python takes some microseconds for each of the thousands of operations, and holds its lock for them, so that
whatever else the process does has to wait: other parts of the batch, decoders, the event loop. A recording is
run by TorchScript's interpreter, which needs none of that; the operations and their results are the same, bit
for bit. torch calls this way deprecated, but has no other yet that needs no compiler where the network runs.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

FIRST_RUNS = 3  # in which the interpreter watches, and then rewrites what it runs


def record(module: nn.Module, example: Tensor) -> Callable[[Tensor], Any]:
    """What the module does to the example, to be done to any `(n, …)` whose other sides are the same.

    example: of two or more, lest what is true of one alone be recorded. To be called in inference mode.
    """
    # For good: other threads may warn meanwhile, and the filters are everyone's.
    warnings.filterwarnings("ignore", "`torch.jit.trace", DeprecationWarning)
    warnings.filterwarnings("ignore", category=TracerWarning)  # of sizes that become constants: they are
    recorded: Callable[[Tensor], Any] = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
    with torch.autocast("cpu", enabled=False):
        for _ in range(FIRST_RUNS):
            recorded(example)
    return recorded
