"""What a failure of a model call means for the device."""

from enum import StrEnum

import torch

# Of cuBLAS, cuDNN, the CUDA runtime and the CPU's allocator, which have no exception of their own.
_NO_MEMORY = ("out of memory", "ALLOC_FAILED", "not enough memory", "can't allocate memory")


class Failure(StrEnum):
    """In the order in which they are asked for."""

    OUT_OF_MEMORY = "out_of_memory"  # a smaller batch may do
    FATAL = "fatal"  # CUDA reports every later call as failed too; only a new process helps
    ITEM = "item"  # of the picture, or of our code: a batch without it may do


class OutOfMemory(Exception):
    """The device has no memory for the batch."""


def failure_of(error: BaseException) -> Failure:
    """What the exception of a model call means."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return Failure.OUT_OF_MEMORY
    if isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY):
        return Failure.OUT_OF_MEMORY
    if type(error).__name__ == "AcceleratorError" or (
        isinstance(error, RuntimeError) and ("CUDA error" in text or "cuDNN error" in text)
    ):
        return Failure.FATAL
    return Failure.ITEM
