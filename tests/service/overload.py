"""More requests than the model can take, played under a virtual clock: admission and batcher, no HTTP."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.admission import Admission, Bounds, Refused, Work
from service.batcher import Batcher
from service.deadline import Deadline, DeadlineExceeded
from tests.service.virtual_time import run

MAX_BATCH = 16
START_S, EACH_S, NOISE = 0.05, 0.01, 0.1  # a batch takes START_S + EACH_S for each item, give or take a tenth


@dataclass
class Outcome:
    """How so many requests fared."""

    good: int = 0
    refused: int = 0
    late: int = 0
    seconds: float = 0.0

    @property
    def of_capacity(self) -> float:
        """Answers in time, as a share of what full batches could give."""
        return self.good / self.seconds * (START_S + EACH_S * MAX_BATCH) / MAX_BATCH

    @property
    def late_share(self) -> float:
        return self.late / max(self.good + self.late, 1)


def capacity() -> float:
    """Items in a second, in full batches."""
    return MAX_BATCH / (START_S + EACH_S * MAX_BATCH)


def overloaded(times: float, *, seconds: float, timeout_ms: int, counts: Sequence[int] = (1,)) -> Outcome:
    """Poisson arrivals at so many times the capacity. counts: items of a request, one drawn for each."""
    return run(_play(times, seconds, timeout_ms, counts))


async def _play(times: float, seconds: float, timeout_ms: int, counts: Sequence[int]) -> Outcome:
    loop, chance = asyncio.get_running_loop(), random.Random(0)
    outcome = Outcome(seconds=seconds)

    async def model(key: str, items: Sequence[int], prepared: None) -> Sequence[int]:
        with admission.running(key, len(items)):
            await asyncio.sleep((START_S + EACH_S * len(items)) * chance.uniform(1 - NOISE, 1 + NOISE))
        return items

    def queued() -> Iterator[tuple[str, bool, int]]:
        return batcher.line.lengths()

    bounds = Bounds(requests=10_000, items=10_000, bytes=1)
    admission = Admission(bounds, lambda kind: MAX_BATCH, queued, loop.time)
    batcher = Batcher[str, int, None, int](
        model, max_batch=lambda key: MAX_BATCH, max_waiting=10_000, clock=loop.time
    )

    async def ask(count: int) -> None:
        deadline = Deadline(loop.time() + timeout_ms / 1000, timeout_ms, loop.time)
        try:
            async with deadline.enforced():
                with admission.places(Work("pose", count), deadline):
                    tickets = batcher.submit("pose", range(count), expires_at=deadline.expires_at)
                await asyncio.gather(*(ticket.result for ticket in tickets))
            outcome.good += count
        except Refused:
            outcome.refused += count
        except (DeadlineExceeded, TimeoutError):
            outcome.late += count

    asking = []
    rate = times * capacity() / (sum(counts) / len(counts))
    while loop.time() < seconds:
        asking.append(asyncio.create_task(ask(chance.choice(counts))))
        await asyncio.sleep(chance.expovariate(rate))
    await asyncio.gather(*asking)
    return outcome
