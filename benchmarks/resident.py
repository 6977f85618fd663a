"""What a server could reach: images a second that the engine computes of crops in its memory.

`python -m benchmarks.resident --seconds 5` prints JSON; the setup comes from the environment.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence

from benchmarks.peers.work import Work
from benchmarks.setup import PICTURE, Setup
from service.load.pictures import made_pictures


def batch_sizes(max_batch: int, at_once: int = 1) -> list[int]:
    """1, 2, 4… and the largest, and as many as a server has that runs so many of these side by side."""
    powers = {1 << power for power in range(max_batch.bit_length()) if 1 << power < max_batch}
    return sorted(powers | {max_batch, max_batch * at_once})


def images_per_second(work: Work, sizes: Sequence[int], seconds: float) -> dict[int, float]:
    """By batch size, from the median time of a batch.

    The sizes take turns, so that each meets the same machine.
    """
    [file] = made_pictures([PICTURE], random.Random(0))
    crop = work.read(file).pixels.to(work.engine.runner.device)
    resident = {size: crop.repeat(size, 1, 1, 1) for size in sizes}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for batch in resident.values():
        work.engine.run(batch)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for size, batch in resident.items():
            begun = time.perf_counter()
            work.engine.run(batch)  # its results come to the CPU, so that it has ended
            times[size].append(time.perf_counter() - begun)
    return {size: size / statistics.median(every) for size, every in times.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    setup = Setup.from_environment()
    work = Work(setup)
    at_once = setup.threads if work.engine.runner.device.type == "cpu" else 1
    sizes = batch_sizes(setup.max_batch, at_once)
    print(json.dumps(images_per_second(work, sizes, parser.parse_args().seconds)))
