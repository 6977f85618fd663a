"""The long forms of the reliability tests, with their figures: `make soak`, on an idle machine."""

import asyncio
import re
import statistics
import time
from collections.abc import Callable

import pytest

from tests.service.crowd import asked_in_turn, closed_loop, leave_again, mixed_up, open_loop, soak
from tests.service.pictures import damaged, plain
from tests.service.processes import Server, server, stopped_under_load
from tests.service.raw_client import request
from tests.service.test_input_policy import TAKEN

pytestmark = pytest.mark.slow

Show = Callable[[str], None]
TINY = plain(kind="JPEG", width=32, height=32)
SOAK_REQUESTS, SOAK_S = 50_000, 600
CROP_MS = 10  # of a core, for a crop of the tiny pose model in a batch


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """Prints a figure, whatever pytest captures."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}")  # noqa: T201

    return print_line


async def process_metric(running: Server, name: str) -> float:
    page = (await running.client.get("/metrics")).text
    [found] = re.findall(rf"^hrformer_process_{name} (\S+)", page, re.MULTILINE)
    return float(found)


async def resident_mib(running: Server) -> float:
    return await process_metric(running, "resident_memory_bytes") / 2**20


async def test_no_picture_of_ten_thousand_is_answered_for_another(show: Show) -> None:
    async with server(HRFORMER_LOG_LEVEL="info", HRFORMER_THREADS="2") as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        wrong = await mixed_up(running.address, pictures=10_000, connections=64)
        running.process.terminate()
        await reading
    show(f"cross-talk: {wrong} of 10,000")
    assert wrong == 0


async def test_no_request_is_lost_in_twenty_stops_under_load(show: Show) -> None:
    ends = [await stopped_under_load(grace_s) for grace_s in ["0", "0.3"] * 10]
    lost = [statuses for statuses, _ in ends if not statuses <= {200, 503}]
    show(f"SIGTERM under load: {len(lost)} of {len(ends)} stops lost a request")
    assert (lost, {code for _, code in ends}) == ([], {0})


async def test_memory_does_not_grow_over_fifty_thousand_requests(show: Show) -> None:
    async with server(HRFORMER_THREADS="2") as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        figures = await soak(running.address, requests=SOAK_REQUESTS // 5, clients=16, seconds=SOAK_S / 5)
        sizes = [await resident_mib(running)]
        for _ in range(8):
            more = await soak(running.address, requests=SOAK_REQUESTS // 10, clients=16, seconds=SOAK_S / 10)
            figures.statuses += more.statuses
            sizes.append(await resident_mib(running))
        running.process.terminate()
        await reading
    growth = sizes[-1] / sizes[0] - 1
    show(f"soak: {dict(figures.statuses)}; resident {sizes[0]:.0f} to {sizes[-1]:.0f} MiB, {growth:+.1%}")
    assert growth <= 0.01
    assert all(status < 500 for status in figures.statuses)


async def test_twenty_thousand_damaged_pictures_are_no_defect(show: Show) -> None:
    async with server(HRFORMER_MAX_IMAGE_PIXELS="1000000") as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        files = damaged(list(TAKEN.values()), 20_000)
        figures = await asked_in_turn(running.address, files, connections=8)
        running.process.terminate()
        await reading
    slowest_ms = max(figures.percentile_ms(status, 100) for status in figures.statuses)
    show(f"damaged pictures: {dict(figures.statuses)}, the slowest {slowest_ms:.0f} ms")
    assert figures.statuses.keys() <= {200, 413, 415, 422}


async def test_http_alone_is_quick(show: Show) -> None:
    """By the time of a core, which others that use the machine lengthen little: 1,500 requests a second."""
    async with server(ECHO_CONSTANT="1") as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        await closed_loop(running.address, request(TINY), clients=8, seconds=2)
        begun, begun_cpu_s = time.perf_counter(), await process_metric(running, "cpu_seconds_total")
        crowd = await closed_loop(running.address, request(TINY), clients=32, seconds=8)
        rate = crowd.statuses[200] / (time.perf_counter() - begun)
        cpu_s = await process_metric(running, "cpu_seconds_total") - begun_cpu_s
        alone = await closed_loop(running.address, request(TINY), clients=1, seconds=4)
        running.process.terminate()
        await reading
    cpu_ms = 1000 * cpu_s / crowd.statuses[200]
    show(
        f"HTTP alone: {rate:.0f} requests/s, {cpu_ms:.2f} ms of a core each; "
        f"one client p50 {alone.percentile_ms(200, 50):.2f} ms"
    )
    assert cpu_ms <= 1000 / 1500
    assert alone.percentile_ms(200, 50) <= 2.5


async def cpu_ms_of_a_request(**environment: str) -> float:
    """Of the service's process, with a model that costs nothing."""
    async with server(ECHO_CONSTANT="1", **environment) as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        await closed_loop(running.address, request(TINY), clients=8, seconds=2)
        begun_cpu_s = await process_metric(running, "cpu_seconds_total")
        crowd = await closed_loop(running.address, request(TINY), clients=32, seconds=5)
        cpu_s = await process_metric(running, "cpu_seconds_total") - begun_cpu_s
        running.process.terminate()
        await reading
    return 1000 * cpu_s / crowd.statuses[200]


async def test_metrics_cost_next_to_nothing(show: Show) -> None:
    """By the time of a core, in turns: their cost beside what a core computes for a crop."""
    turns = [(await cpu_ms_of_a_request(), await cpu_ms_of_a_request(ECHO_METRICS="off")) for _ in range(3)]
    on_ms, off_ms = (statistics.median(turn) for turn in zip(*turns, strict=True))
    cost_ms = on_ms - off_ms
    show(
        f"metrics: {on_ms:.3f} ms of a core with, {off_ms:.3f} without: {cost_ms / on_ms:.1%} of HTTP alone, "
        f"{cost_ms / CROP_MS:.1%} with a crop's {CROP_MS} ms"
    )
    assert cost_ms <= 0.02 * CROP_MS


async def test_clients_that_leave_cost_the_others_nothing(show: Show) -> None:
    """Of 69 clients of a model that takes 16 in 100 ms, 21 leave while they wait, again and again."""
    async with server(ECHO_BATCH_MS="100", HRFORMER_MAX_POSE_BATCH="16") as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        data, seconds = request(TINY), 6.0
        await closed_loop(running.address, data, clients=48, seconds=2)
        alone, among = [], []
        for _ in range(3):
            alone.append(
                (await closed_loop(running.address, data, clients=48, seconds=seconds)).statuses[200]
            )
            leaving = asyncio.create_task(leave_again(running.address, data, clients=21, seconds=seconds))
            among.append(
                (await closed_loop(running.address, data, clients=48, seconds=seconds)).statuses[200]
            )
            left = await leaving
        running.process.terminate()
        await reading
    kept = statistics.median(among) / statistics.median(alone)
    show(f"clients that leave: {left} left, the others got {kept:.1%} of what they get alone")
    assert left > 0.3 * among[-1]
    assert kept >= 0.95


async def test_overload_is_refused_quickly_and_costs_no_throughput(show: Show) -> None:
    """A stand-in model takes 100 ms for a batch of 16, so that 160 requests a second are its capacity."""
    capacity, seconds, timeout_ms = 160.0, 15.0, 1500
    async with server(ECHO_BATCH_MS="100", HRFORMER_MAX_POSE_BATCH="16") as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        data = request(TINY, X_Timeout_Ms=str(timeout_ms))
        await open_loop(running.address, data, rate=capacity, seconds=3)
        figures = await open_loop(running.address, data, rate=3 * capacity, seconds=seconds)
        running.process.terminate()
        await reading
    goodput = figures.statuses[200] / seconds / capacity
    refused_ms = sorted(figures.refused_ms)[int(0.99 * len(figures.refused_ms))]
    accepted_ms = figures.percentile_ms(200, 99)
    show(
        f"3x overload: goodput {goodput:.0%}, {dict(figures.statuses)}, refusals p99 {refused_ms:.1f} ms, "
        f"answers p99 {accepted_ms:.0f} of {timeout_ms} ms"
    )
    assert goodput >= 0.9
    assert refused_ms < 10
    assert accepted_ms <= timeout_ms
