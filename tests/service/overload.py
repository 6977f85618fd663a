"""More requests than the model can take, played under a virtual clock: admission and batcher, no HTTP."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.admission import Admission, Bounds, Refused, Work
from service.batcher import Batcher, Expired, Place
from service.deadline import Deadline, DeadlineExceeded
from tests.service.virtual_time import run

MAX_BATCH = 16
CROP_S = 0.002  # for the crops of those who were found
STALL_EVERY_S = 10.0
START_S, EACH_S, NOISE = 0.05, 0.01, 0.1  # a batch takes START_S + EACH_S for each item, give or take a tenth


@dataclass
class Outcome:
    """How so many requests fared."""

    good: int = 0
    refused: int = 0
    late: int = 0
    seconds: float = 0.0
    units: int = 1  # of the model

    @property
    def of_capacity(self) -> float:
        """Answers in time, as a share of what full batches could give."""
        return self.good / self.seconds / (capacity() * self.units)

    @property
    def late_share(self) -> float:
        return self.late / max(self.good + self.late, 1)


def capacity() -> float:
    """Items in a second, in full batches, of a unit."""
    return MAX_BATCH / (START_S + EACH_S * MAX_BATCH)


def overloaded(
    times: float,
    *,
    seconds: float,
    timeout_ms: int,
    counts: Sequence[int] = (1,),
    people: Sequence[int] | None = None,
    stall_s: float = 0.0,
    units: int = 1,
) -> Outcome:
    """So many times what the model can take, Poisson arrivals of requests with one of these numbers of boxes;
    or of pictures to be searched, with one of these numbers of people.

    stall_s: by so much longer takes a batch every `STALL_EVERY_S`. units: of the model, each as fast as one.
    """
    return run(_play(times, seconds, timeout_ms, counts, people, stall_s, units))


@dataclass
class Played:
    """Admission and batcher around a model, for requests of one time limit."""

    timeout_ms: int
    outcome: Outcome
    chance: random.Random
    stall_s: float = 0.0
    stalls: int = 0

    def __post_init__(self) -> None:
        self._clock = clock = asyncio.get_running_loop().time
        bounds = Bounds(requests=10_000, items=10_000, bytes=1)
        self._admission = Admission(bounds, lambda kind: MAX_BATCH, self._queued, clock, self.outcome.units)
        self._batcher = Batcher[str, int, None, int](
            self._model,
            max_batch=lambda key: MAX_BATCH,
            takes_s=self._admission.batch_s,
            max_waiting=10_000,
            units=self.outcome.units,
            clock=clock,
        )

    def _queued(self) -> Iterator[tuple[str, bool, int]]:
        return self._batcher.line.lengths()

    async def _model(self, key: str, items: Sequence[int], prepared: None, units: int) -> Sequence[int]:
        with self._admission.running(key, len(items), units):
            noise = self.chance.uniform(1 - NOISE, 1 + NOISE)
            await asyncio.sleep((START_S + EACH_S * len(items)) * noise + self._stalled_s())
        return items

    def _stalled_s(self) -> float:
        if self._clock() < (self.stalls + 1) * STALL_EVERY_S:
            return 0.0
        self.stalls += 1
        return self.stall_s

    async def ask(self, count: int, *, is_searched: bool) -> None:
        """A request for the poses of so many people, who may have to be found first."""
        deadline = Deadline(self._clock() + self.timeout_ms / 1000, self.timeout_ms, self._clock)
        items = count + is_searched
        try:
            async with deadline.enforced():
                place = await self._find(count, deadline) if is_searched else None
                await self._done(Work("pose", count, is_begun=is_searched), deadline, place)
            self.outcome.good += items
        except Refused:
            self.outcome.refused += items
        except (DeadlineExceeded, Expired):
            self.outcome.late += items

    async def _find(self, count: int, deadline: Deadline) -> Place:
        work = Work("find", 1, then="pose")
        with self._admission.places(work, deadline):
            [ticket] = self._batcher.submit("find", [0], expires_at=deadline.expires_at)
        with self._admission.searching(work):
            await ticket.result
        self._admission.found("find", count)
        return ticket.place

    async def _done(self, work: Work, deadline: Deadline, place: Place | None) -> None:
        with self._admission.places(work, deadline) as promise:
            if work.is_begun:
                await asyncio.sleep(CROP_S)
            tickets = self._batcher.submit(
                "pose", range(work.count), expires_at=deadline.expires_at, place=place
            )
        try:
            await asyncio.gather(*(ticket.result for ticket in tickets))
        finally:
            if not work.is_begun:
                self._admission.learn(promise, is_done=all(ticket.finished_at for ticket in tickets))


async def _play(
    times: float,
    seconds: float,
    timeout_ms: int,
    counts: Sequence[int],
    people: Sequence[int] | None,
    stall_s: float,
    units: int,
) -> Outcome:
    loop, chance, is_searched = asyncio.get_running_loop(), random.Random(0), people is not None
    sizes = counts if people is None else people
    played = Played(timeout_ms, Outcome(seconds=seconds, units=units), chance, stall_s)
    asking = []
    rate = times * units * capacity() / (sum(sizes) / len(sizes) + is_searched)
    while loop.time() < seconds:
        asking.append(asyncio.create_task(played.ask(chance.choice(sizes), is_searched=is_searched)))
        await asyncio.sleep(chance.expovariate(rate))
    await asyncio.gather(*asking)
    return played.outcome
