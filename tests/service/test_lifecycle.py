"""States of the service, under a virtual clock."""

import asyncio

import pytest

from service.lifecycle import DeviceFailed, Draining, Lifecycle, NotReady, State
from service.watchdog import watch
from tests.service.virtual_time import run


async def passed_s(work: asyncio.Task[None]) -> float:
    begun = asyncio.get_running_loop().time()
    await work
    return asyncio.get_running_loop().time() - begun


def test_draining_waits_for_the_grace_period_and_for_what_was_accepted() -> None:
    async def play() -> tuple[float, bool]:
        lifecycle = Lifecycle()
        lifecycle.become_ready()
        draining = asyncio.create_task(lifecycle.drain(grace_s=5))
        await asyncio.sleep(1)
        lifecycle.check_accepting()
        with lifecycle.accepted():
            await asyncio.sleep(10)
            with pytest.raises(Draining):
                lifecycle.check_accepting()
        return await passed_s(draining), lifecycle.stop.is_set()

    assert run(play()) == (0, True)


def test_a_service_that_has_not_started_drains_at_once() -> None:
    async def play() -> float:
        return await passed_s(asyncio.create_task(Lifecycle().drain(grace_s=5)))

    assert run(play()) == 0


def test_a_service_that_drains_does_not_become_ready() -> None:
    async def play() -> State:
        lifecycle = Lifecycle()
        await lifecycle.drain(grace_s=0)
        lifecycle.become_ready()
        return lifecycle.state

    assert run(play()) is State.DRAINING


def test_a_failure_stays_when_the_service_drains() -> None:
    async def play() -> tuple[State, bool]:
        lifecycle = Lifecycle()
        lifecycle.fail("the device failed")
        await lifecycle.drain(grace_s=0)
        return lifecycle.state, lifecycle.is_alive

    assert run(play()) == (State.FAILED, False)


def test_work_is_refused_by_the_state() -> None:
    lifecycle = Lifecycle()
    with pytest.raises(NotReady):
        lifecycle.check_accepting()
    lifecycle.fail("the device failed")
    with pytest.raises(DeviceFailed):
        lifecycle.check_accepting()


def test_the_watchdog_barks_when_a_call_takes_longer_than_the_limit() -> None:
    async def play() -> float:
        loop = asyncio.get_running_loop()
        calls = [(3.0, 8.0), (20.0, 1e9)]  # from, to

        def busy_for_s() -> float:
            return next((loop.time() - begun for begun, end in calls if begun <= loop.time() < end), 0.0)

        await watch(busy_for_s, 10.0, lambda: None)
        return loop.time()

    assert 30 < run(play()) <= 31
