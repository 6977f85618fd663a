"""Many requests at once: none is mixed up with another, and too many are refused, not delayed."""

import asyncio
import json

import pytest

from tests.service.conftest import in_process, on_sockets, until
from tests.service.crowd import mixed_up
from tests.service.echo_models import EchoPose, Gate
from tests.service.overload import overloaded
from tests.service.pictures import plain


async def test_no_picture_is_answered_for_another() -> None:
    """A thousand pictures, each of its own colour, over real connections, in batches side by side."""
    async with on_sockets(threads=2) as running:
        assert await mixed_up(running.address, pictures=1000, connections=40) == 0
        assert max(running.pose.batch_sizes) > 1


@pytest.mark.parametrize("threads", [1, 3])
async def test_as_many_batches_run_side_by_side_as_the_model_has_threads(threads: int) -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, threads=threads) as running:
        boxes = json.dumps([[0, 0, 4, 4]] * 6)
        answer = asyncio.create_task(running.client.post(f"/pose?boxes={boxes}", content=plain()))
        for _ in range(threads):
            await gate.entered()
        gate.open()
        assert len((await answer).json()["people"]) == 6
        assert running.pose.batch_sizes == [6 // threads] * threads


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize(("timeout_ms", "late_share"), [(500, 0.02), (2000, 0.001), (10_000, 0.001)])
def test_three_times_too_much_work_costs_no_throughput(
    timeout_ms: int, late_share: float, units: int
) -> None:
    """A full batch takes 210 ms, so that 500 ms leave room for one before it."""
    outcome = overloaded(3.0, seconds=60, timeout_ms=timeout_ms, units=units)
    assert outcome.of_capacity >= 0.9
    assert outcome.refused > 1.5 * outcome.good
    assert outcome.late_share <= late_share  # what was accepted came in time


@pytest.mark.parametrize(("timeout_ms", "of_capacity"), [(500, 0.8), (1500, 0.87), (4000, 0.9)])
def test_a_stall_costs_little_more_than_its_time(timeout_ms: int, of_capacity: float) -> None:
    """The machine stands still for one second of ten: 0.9 of the capacity is left at best."""
    outcome = overloaded(3.0, seconds=60, timeout_ms=timeout_ms, stall_s=1.0)
    assert outcome.of_capacity >= of_capacity


@pytest.mark.parametrize("units", [1, 3])
def test_requests_of_many_boxes_are_refused_by_the_same_rule(units: int) -> None:
    outcome = overloaded(3.0, seconds=60, timeout_ms=2000, counts=(1, 1, 4, 60), units=units)
    assert outcome.of_capacity >= 0.9
    assert outcome.late_share <= 0.01


@pytest.mark.parametrize("units", [1, 3])
def test_nothing_is_refused_while_there_is_room(units: int) -> None:
    outcome = overloaded(0.7, seconds=60, timeout_ms=2000, units=units)
    assert (outcome.refused, outcome.late) == (0, 0)


async def test_refusals_do_not_wait_for_the_model() -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, max_requests=10) as running:
        taken = [asyncio.create_task(running.client.post("/pose", content=plain())) for _ in range(10)]
        await until(lambda: running.parts.admission.requests == 10)
        await gate.entered()
        refused = [await running.client.post("/pose", content=plain()) for _ in range(20)]
        assert {answer.json()["type"] for answer in refused} == {"/problems/overloaded"}
        assert running.metric("refused_total", route="/pose", reason="overloaded") == 20
        gate.open()
        assert {(await one).status_code for one in taken} == {200}


async def test_metrics_and_probes_are_answered_under_overload() -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, max_requests=1) as running:
        taken = asyncio.create_task(running.client.post("/pose", content=plain()))
        await gate.entered()
        for path in ("/metrics", "/livez", "/readyz"):
            assert (await running.client.get(path)).status_code == 200
        gate.open()
        await taken


async def test_memory_of_what_waits_is_bounded() -> None:
    """A megapixel is 3 MB decoded, and 4 MiB hold one."""
    gate, mib = Gate(), 1024 * 1024
    bounds = {"max_waiting_bytes": 4 * mib, "max_body_bytes": mib}
    async with in_process({"echo-pose": EchoPose(gate)}, **bounds) as running:
        path, picture = "/pose?format=overlay", plain(width=1000, height=1000)  # keeps the decoded picture
        taken = asyncio.create_task(running.client.post(path, content=picture))
        await gate.entered()
        refused = await running.client.post(path, content=picture)
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/overloaded")
        assert running.metric("queue_bytes") > 3_000_000
        gate.open()
        assert (await taken).status_code == 200
        assert running.metric("queue_bytes") == 0
