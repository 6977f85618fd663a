"""The C library's allocator, told to keep what is freed."""

import ctypes
import os
from contextlib import suppress
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGEST_KEPT = 32 << 20  # bytes of a piece; glibc takes no larger limit
_NEVER = -1
_OWN_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def give_freed_memory_back() -> None:
    """Once, to the system: after something that took much more than what goes on. On Linux with glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


@cache
def keep_freed_memory() -> bool:
    """Lets the process keep freed pieces of up to 32 MiB instead of giving them back.

    A network on the CPU frees and asks again for the same megabytes at every operation; fetched anew from the
    system, page by page, they take a sixth of its time. Whoever chose settings or an allocator by the
    environment keeps them.
    returns: whether it is so; elsewhere than on Linux with glibc nothing is done.
    """
    if any(name in os.environ for name in _OWN_SETTINGS):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(set_option(_MMAP_THRESHOLD, _LARGEST_KEPT) and set_option(_TRIM_THRESHOLD, _NEVER))
