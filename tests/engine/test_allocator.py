"""Memory that is freed and asked for again."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from hrformer.engine.allocator import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        torch.zeros(2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
without = faults()
is_kept = keep_freed_memory()
torch.zeros(2**20)
print(is_kept, without, faults())
"""


def told(**environment: str) -> tuple[str, int, int]:
    """Whether memory is kept, and page faults before and after it was asked for."""
    answer = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    is_kept, without, kept = answer.stdout.split()
    return is_kept, int(without), int(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of Linux's C library")
def test_memory_that_is_freed_is_kept() -> None:
    is_kept, without, kept = told()
    assert is_kept == "True"
    assert kept < without / 10


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of Linux's C library")
def test_settings_by_the_environment_win() -> None:
    is_kept, _, _ = told(MALLOC_TRIM_THRESHOLD_="131072")
    assert is_kept == "False"
