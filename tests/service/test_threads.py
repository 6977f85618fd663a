"""Threads that run calls for the event loop, and the pools around them."""

import asyncio
import threading
from pathlib import Path

import pytest
import torch

from service.decoding import Pool
from service.sizing import cores, pool_threads
from service.threads import Threads


async def held(threads: Threads) -> tuple["asyncio.Future[bool]", threading.Event]:
    """A call that runs until it is let go."""
    begun, let_go = threading.Event(), threading.Event()

    def hold() -> bool:
        begun.set()
        return let_go.wait(30)

    answer = threads.run(hold)
    await asyncio.to_thread(begun.wait, 30)
    return answer, let_go


async def test_a_closed_thread_has_ended_after_the_calls_that_wait() -> None:
    threads = Threads("model")
    answer = threads.run(lambda: 7)
    threads.close()
    assert threads.has_ended(30)
    assert await answer == 7


async def test_a_thread_whose_call_hangs_has_not_ended() -> None:
    threads = Threads("model")
    answer, let_go = await held(threads)
    threads.close()
    assert not threads.has_ended(0.01)
    assert threads.busy_for_s() > 0
    let_go.set()
    assert threads.has_ended(30)
    assert await answer


async def test_calls_run_in_order_urgent_ones_first() -> None:
    threads = Threads("decode")
    ran: list[str] = []
    answer, let_go = await held(threads)
    calls = [
        threads.run(ran.append, name, urgent=name.startswith("urgent"))
        for name in ("one", "two", "urgent1", "three", "urgent2")
    ]
    let_go.set()
    await asyncio.gather(answer, *calls)
    threads.close()
    assert ran == ["urgent1", "urgent2", "one", "two", "three"]


async def test_a_call_that_is_cancelled_before_its_turn_is_not_made() -> None:
    threads = Threads("decode")
    ran: list[str] = []
    answer, let_go = await held(threads)
    left, kept = threads.run(ran.append, "left"), threads.run(ran.append, "kept")
    left.cancel()
    let_go.set()
    await asyncio.gather(answer, kept)
    threads.close()
    assert ran == ["kept"]


async def test_what_a_call_raises_is_the_askers_and_the_thread_goes_on() -> None:
    threads = Threads("decode")
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert await threads.run(lambda: 7) == 7
    threads.close()


async def test_as_many_calls_run_at_once_as_there_are_threads() -> None:
    threads = Threads("decode", 3)
    together = threading.Barrier(3)
    await asyncio.gather(*(threads.run(together.wait, 30) for _ in range(3)))
    threads.close()


async def test_decoders_use_one_torch_thread_each_and_leave_the_model_its_own() -> None:
    model = Threads("model", begin=lambda: (torch.get_num_threads(), torch.set_num_threads(3)))
    assert await model.run(torch.get_num_threads) == 3
    pool = Pool("decode", 2)
    counts = [await pool.run(torch.get_num_threads, kind="JPEG", size=1) for _ in range(4)]
    assert (set(counts), await model.run(torch.get_num_threads)) == ({1}, 3)
    model.close()
    pool.threads.close()


async def test_a_pool_learns_how_long_its_work_takes_and_counts_what_waits() -> None:
    pool = Pool("decode", 1)
    assert pool.wait_s("JPEG", 1000) == 0.0
    await pool.run(threading.Event().wait, 0.02, kind="JPEG", size=1000)
    expected_s = pool.expected_s("JPEG", 1000)
    assert expected_s >= 0.02
    assert pool.expected_s("PNG", 1000) == 0.0
    answer, let_go = await held(pool.threads)
    works = [asyncio.create_task(pool.run(lambda: None, kind="JPEG", size=1000)) for _ in range(2)]
    await asyncio.sleep(0)
    assert pool.wait_s("JPEG", 1000) == pytest.approx(3 * expected_s)
    assert pool.wait_s("JPEG", 1000, urgent=True) == pytest.approx(expected_s)
    let_go.set()
    await asyncio.gather(answer, *works)
    pool.threads.close()


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("", None)]
)
def test_cores_are_those_of_the_containers_quota(quota: str, expected: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert cores(tmp_path / "cpu.max") == (expected or cores(tmp_path / "none"))


@pytest.mark.parametrize(("count", "on_cpu", "beside_gpu"), [(1, 1, 1), (2, 1, 1), (8, 2, 6), (64, 16, 48)])
def test_pools_are_small_beside_a_model_on_the_cpu(count: int, on_cpu: int, beside_gpu: int) -> None:
    assert (pool_threads(count, on_cpu=True), pool_threads(count, on_cpu=False)) == (on_cpu, beside_gpu)
