"""What figures were taken on."""

import os
import platform
from pathlib import Path

import torch

from benchmarks.setup import Setup


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(setup: Setup) -> str:
    """Processor or card, threads, torch."""
    device = torch.cuda.get_device_name(setup.device) if setup.device.startswith("cuda") else processor()
    return f"{device}, {setup.threads} threads, torch {torch.__version__.partition('+')[0]}"


def processor() -> str:
    """Its name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
