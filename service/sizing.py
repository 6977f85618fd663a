"""How many threads there are for what, from the cores that this process may use."""

import os
import sys
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def cores(quota: Path = CGROUP_QUOTA) -> int:
    """Cores that this process may use: those of the machine, of its affinity, or of its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text(encoding="ascii").split()
        return allowed if limit == "max" else max(1, min(allowed, int(limit) // int(period)))
    except (OSError, ValueError):  # no cgroup of version 2
        return allowed


def memory_limit_bytes(limit: Path = CGROUP_MEMORY) -> int:
    """Memory that this process may have: all of the machine's, or what its container allows."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    try:
        return min(machine or sys.maxsize, int(limit.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no cgroup of version 2, or "max"
        return machine


def pool_threads(core_count: int, *, on_cpu: bool) -> int:
    """Threads that decode, and as many that encode.

    Beside a model on the CPU a quarter of the cores: a picture takes a few ms of decoding for 10 to 100 ms
    of model, whose threads, one for each core, wait for the one that has lost its core to a decoder. Beside a
    GPU three quarters: there decoding is what the device waits for, and the rest is for the event loop and
    the thread that feeds it.
    """
    return max(1, core_count // 4 if on_cpu else core_count * 3 // 4)
