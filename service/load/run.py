"""Sends a load to a service and notes what becomes of each request."""

import asyncio
import random
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Protocol

from service.client.connection import Answer
from service.load.arrivals import arrivals
from service.load.figures import Fate, Figures, Outcome, figures_of
from service.load.mix import Request

PATIENCE_S = 1.0  # past the time that a client allows, so that the service can say itself that it is late
AFTER_FAILURE_S = 0.1  # in the closed loop, a client without a connection tries again
REFUSALS = (429, 503)


@dataclass(frozen=True)
class Load:
    """How much is sent: `rate` requests a second whatever comes back, or `clients` that each await theirs."""

    rate: float | None = None  # above 0, one of the two
    clients: int | None = None  # 1 or more
    seconds: float = 10.0  # measured, after the warm-up
    warm_up_s: float = 1.0  # sent before, not counted
    burst: int = 1  # requests that arrive at the same instant, in the open loop
    timeout_s: float = 30.0  # an answer after that is of no use
    retries: int = 0  # of a request that is refused, after the time that the refusal names
    seed: int = 0

    @property
    def name(self) -> str:
        """`40/s` or `8 clients`."""
        return f"{self.clients} clients" if self.rate is None else f"{self.rate:g}/s"


class Service(Protocol):
    """What answers; `service.client.pool.Pool` in earnest."""

    def ask(self, request: bytes, /) -> Awaitable[Answer]:
        """raises: OSError where there is no connection, or it breaks."""
        ...


class Run:
    """One load on one service."""

    def __init__(self, load: Load, requests: Iterator[Request], service: Service) -> None:
        self.load, self.outcomes = load, list[Outcome]()
        self.sent = 0
        self._requests, self._service = requests, service
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._ended_at = self._loop.time()
        self._cpu_s, self._took_s = 0.0, 0.0

    async def go(self) -> None:
        """Returns when all that was sent has its answer. Cancelled, it leaves those who wait.

        The figures are there in both cases.
        """
        cpu_s = time.process_time()
        self._begun_at = self._loop.time()
        self._ended_at = self._begun_at + self.load.warm_up_s + self.load.seconds
        try:
            async with asyncio.TaskGroup() as asking:
                await (self._closed(asking) if self.load.rate is None else self._open(asking, self.load.rate))
        finally:
            now = self._loop.time()
            self._ended_at = min(self._ended_at, now)
            self._cpu_s, self._took_s = time.process_time() - cpu_s, now - self._begun_at

    def figures(self) -> Figures:
        """Of what was meant to be sent after the warm-up."""
        begun_at = min(self._begun_at + self.load.warm_up_s, self._ended_at)
        own_cpu = self._cpu_s / self._took_s if self._took_s else 0.0
        return figures_of(self.outcomes, begun_at, self._ended_at, own_cpu=own_cpu)

    async def _open(self, asking: asyncio.TaskGroup, rate: float) -> None:
        """Requests at their own times, whether earlier ones are answered or not."""
        for after_s in arrivals(rate, random.Random(self.load.seed), burst=self.load.burst):
            at = self._begun_at + after_s
            if at >= self._ended_at:
                return
            await asyncio.sleep(max(at - self._loop.time(), 0.0))
            asking.create_task(self._ask(next(self._requests), at))

    async def _closed(self, asking: asyncio.TaskGroup) -> None:
        for _ in range(self.load.clients or 1):
            asking.create_task(self._ask_on())

    async def _ask_on(self) -> None:
        """One client that asks again as soon as it is answered."""
        while (now := self._loop.time()) < self._ended_at:
            if await self._ask(next(self._requests), now) is Fate.FAILED:
                await asyncio.sleep(AFTER_FAILURE_S)

    async def _ask(self, request: Request, intended_at: float) -> Fate:
        """Sends one request and notes its outcome; times count from when it was meant to be sent."""
        begun_at = self._loop.time()
        self.sent += 1
        until = intended_at + self.load.timeout_s + PATIENCE_S
        if request.leaves_after_s is not None:
            until = min(until, begun_at + request.leaves_after_s)
        answer: Answer | None = None
        fate = Fate.FAILED
        try:
            async with asyncio.timeout_at(until) as limit:
                answer = await self._answer(request.data)
            fate = self._fate(request, answer, answer.ended_at - intended_at)
        except OSError:  # which a time-out is too
            if limit.expired():
                fate = Fate.LATE if request.leaves_after_s is None else Fate.LEFT
        ended_at = self._loop.time() if answer is None else answer.ended_at
        self.outcomes.append(Outcome.of(fate, answer, intended_at, begun_at, ended_at))
        return fate

    async def _answer(self, data: bytes) -> Answer:
        for _ in range(self.load.retries):
            answer = await self._service.ask(data)
            if answer.status not in REFUSALS:
                return answer
            await asyncio.sleep(answer.retry_after_s or 1.0)
        return await self._service.ask(data)

    def _fate(self, request: Request, answer: Answer, latency_s: float) -> Fate:
        if answer.status in REFUSALS:
            return Fate.REFUSED
        if not request.is_valid:
            return Fate.INVALID if 400 <= answer.status < 500 else Fate.UNEXPECTED
        if answer.status == 504 or (answer.status == 200 and latency_s > self.load.timeout_s):
            return Fate.LATE
        return Fate.GOOD if answer.status == 200 else Fate.UNEXPECTED
