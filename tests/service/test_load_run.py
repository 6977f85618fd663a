"""What `hrformer-load` sends and when, under a virtual clock, to a service of which all is known."""

import asyncio
import random
from collections.abc import Iterator
from itertools import repeat

import pytest

from service.client.connection import Address, Answer, ConnectionLost
from service.load.figures import Figures
from service.load.mix import Mix, Request, requests
from service.load.run import PATIENCE_S, Load, Run
from tests.service.virtual_time import run

SERVICE_S = 0.01
PLAIN = Request(b"")


class OneServer:
    """Answers one request at a time, each in so many seconds, and none while it stalls."""

    def __init__(self, service_s: float = SERVICE_S, *, stall: tuple[float, float] = (0, 0)) -> None:
        self.service_s, self.stall, self.free_at, self.asked = service_s, stall, 0.0, 0

    async def ask(self, request: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        self.asked += 1
        begun = max(loop.time(), self.free_at)
        if self.stall[0] <= begun < self.stall[1]:
            begun = self.stall[1]
        self.free_at = begun + self.service_s
        await asyncio.sleep(self.free_at - loop.time())
        return Answer(200, {}, b"", loop.time())


class Refusing:
    """Refuses the first so many requests, to come again in two seconds; takes a millisecond for each."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals

    async def ask(self, request: bytes) -> Answer:
        self.left -= 1
        await asyncio.sleep(0.001)
        status = 200 if self.left < 0 else 429
        return Answer(status, {b"retry-after": b"2"}, b"", asyncio.get_running_loop().time())


class Nobody:
    async def ask(self, request: bytes) -> Answer:
        raise ConnectionLost("the service has closed the connection")


def measured(load: Load, service: OneServer | Refusing | Nobody, sent: Iterator[Request]) -> Figures:
    async def play() -> Figures:
        going = Run(load, sent, service)
        await going.go()
        return going.figures()

    return run(play())


def test_an_open_loop_finds_the_wait_that_queueing_theory_gives() -> None:
    """Poisson arrivals, one server, a fixed time: the mean wait is ρ/(2(1−ρ)) of it (Khinchine)."""

    async def play() -> float:
        going = Run(Load(rate=50.0, seconds=400, warm_up_s=0), repeat(PLAIN), OneServer())
        await going.go()
        return sum(one.latency_ms for one in going.outcomes) / len(going.outcomes)

    load = 50 * SERVICE_S
    assert run(play()) == pytest.approx(1000 * SERVICE_S * (1 + load / (2 * (1 - load))), rel=0.03)


def test_an_open_loop_sees_a_stall_as_all_clients_do() -> None:
    """One of ten seconds: of a tenth of all requests each waits for what is left of it."""
    found = measured(
        Load(rate=20.0, seconds=10, warm_up_s=0), OneServer(0.001, stall=(4.0, 5.0)), repeat(PLAIN)
    )
    assert found.latency_ms["p50"] < 3
    assert found.latency_ms["p99"] > 800


def test_a_closed_loop_sees_a_stall_once_for_each_client() -> None:
    found = measured(Load(clients=1, seconds=10, warm_up_s=0), OneServer(stall=(4.0, 5.0)), repeat(PLAIN))
    assert found.latency_ms["p99"] == pytest.approx(1000 * SERVICE_S)
    assert found.latency_ms["max"] == pytest.approx(1000, abs=15)


def test_a_closed_loop_keeps_so_many_requests_under_way() -> None:
    found = measured(Load(clients=4, seconds=10), OneServer(), repeat(PLAIN))
    assert found.good_per_s == pytest.approx(1 / SERVICE_S, rel=0.01)
    assert found.latency_ms["p50"] == pytest.approx(4000 * SERVICE_S)


def test_the_lag_of_the_generator_is_shown_and_is_part_of_the_times() -> None:
    """Whatever makes the requests takes half a second at one of them."""

    def slowly() -> Iterator[Request]:
        for number in range(1000):
            if number == 10:
                asyncio.get_running_loop().now_s += 0.5  # type: ignore[attr-defined]
            yield PLAIN

    found = measured(Load(rate=20.0, seconds=10, warm_up_s=0), OneServer(0.001), slowly())
    assert found.lag_ms["max"] > 400
    assert found.latency_ms["max"] > 500


def test_refusals_are_not_retried_unless_told() -> None:
    load = Load(clients=1, seconds=0.001, warm_up_s=0)
    assert measured(load, Refusing(1), repeat(PLAIN)).fates["refused"] == 1
    retried = Load(clients=1, seconds=0.001, warm_up_s=0, retries=2)
    found = measured(retried, Refusing(2), repeat(PLAIN))
    assert found.fates == {"good": 1}
    assert found.latency_ms["max"] == pytest.approx(4003)


def test_an_answer_that_comes_after_its_time_is_late() -> None:
    load = Load(rate=1.0, seconds=4, warm_up_s=0, timeout_s=1.0)
    assert set(measured(load, OneServer(1.5), repeat(PLAIN)).fates) == {"late"}


def test_nobody_waits_for_ever() -> None:
    async def play() -> float:
        await Run(Load(clients=1, seconds=1, timeout_s=2.0), repeat(PLAIN), OneServer(1e6)).go()
        return asyncio.get_running_loop().time()

    assert run(play()) == pytest.approx(2 + PATIENCE_S)


def test_clients_leave_when_they_say() -> None:
    load = Load(rate=1.0, seconds=5, warm_up_s=0)
    found = measured(load, OneServer(0.5), repeat(Request(b"", leaves_after_s=0.2)))
    assert set(found.fates) == {"left"}


def test_clients_that_find_nobody_fail_and_do_not_spin() -> None:
    found = measured(Load(clients=2, seconds=1, warm_up_s=0), Nobody(), repeat(PLAIN))
    assert set(found.fates) == {"failed"}
    assert found.sent <= 22


def test_a_run_that_is_stopped_has_the_figures_so_far() -> None:
    async def play() -> Figures:
        run_ = Run(Load(rate=50.0, seconds=3600, warm_up_s=0), repeat(PLAIN), OneServer())
        going = asyncio.create_task(run_.go())
        await asyncio.sleep(10)
        going.cancel()
        await asyncio.wait([going])
        return run_.figures()

    found = run(play())
    assert found.seconds == pytest.approx(10)
    assert found.sent == pytest.approx(500, abs=100)


def test_shares_of_the_mix_are_kept() -> None:
    sent = requests(Mix([b"picture" * 9], invalid=0.1, leave=0.2), Address("h", 1), random.Random(0))
    drawn = [next(sent) for _ in range(10_000)]
    assert sum(not one.is_valid for one in drawn) == pytest.approx(1000, abs=150)
    assert sum(one.leaves_after_s is not None for one in drawn) == pytest.approx(2000, abs=200)


def test_every_path_gets_every_picture() -> None:
    mix = Mix([b"one", b"two"], ["/pose?boxes=whole", "/segment"], invalid=0, leave=0)
    sent = requests(mix, Address("h", 1), random.Random(0))
    drawn = {next(sent).data for _ in range(200)}
    ends = {(data.split()[1], data.rpartition(b"\r\n\r\n")[2]) for data in drawn}
    assert ends == {
        (path, picture) for path in (b"/pose?boxes=whole", b"/segment") for picture in (b"one", b"two")
    }
