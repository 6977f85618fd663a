"""What goes wrong inside or on the wire stays where it happened: faults put in at every stage."""

import asyncio
import base64

import orjson
import pytest
import torch
from torch import Tensor

from service import server
from service.device_errors import Failure, failure_of
from service.intake import PARSED_HERE_BYTES
from tests.service.conftest import Running, in_process, on_sockets, until
from tests.service.echo_models import SIZE, EchoPose, EchoSegmentation, Gate
from tests.service.pictures import noise, plain
from tests.service.raw_client import Connection, request

PICTURE = plain()
STAGES = ("decode", "wait", "model", "encode")


async def statuses(requests: list["asyncio.Task[object]"]) -> list[int]:
    return [answer.status_code for answer in await asyncio.gather(*requests)]  # type: ignore[attr-defined]


def is_black(crop: Tensor) -> bool:
    return int(crop.sum()) == 0


async def asked_together(running: Running, gate: Gate, *bodies: bytes) -> list["asyncio.Task[object]"]:
    """Requests that wait for the model together, behind one that holds it until the gate opens."""
    first = asyncio.create_task(running.client.post("/pose", content=PICTURE))
    await gate.entered()
    rest = [asyncio.create_task(running.client.post("/pose", content=body)) for body in bodies]
    await until(lambda: running.parts.batcher.line.waiting() == len(bodies))
    gate.open()
    return [first, *rest]


async def test_one_bad_picture_fails_alone_in_its_batch() -> None:
    gate = Gate()

    def fail_on_black(crops: Tensor) -> None:
        gate(crops)
        if any(map(is_black, crops)):
            raise RuntimeError("black")

    async with in_process({"echo-pose": EchoPose(fail_on_black)}) as running:
        bodies = [plain(colour) for colour in ((9, 9, 9), (0, 0, 0), (8, 8, 8))]
        assert await statuses(await asked_together(running, gate, *bodies)) == [200, 200, 500, 200]


async def test_a_batch_that_finds_no_memory_is_halved_and_the_bucket_steps_down() -> None:
    gate = Gate()

    def room_for_two(crops: Tensor) -> None:
        gate(crops)
        if len(crops) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    async with in_process({"echo-pose": EchoPose(room_for_two)}, max_pose_batch=16) as running:
        assert await statuses(await asked_together(running, gate, *[PICTURE] * 8)) == [200] * 9
        assert running.pose.batch_sizes == [1, 2, 2, 2, 2]
        assert running.metric("batch_limit_items", model="echo-pose") == 2
        assert running.metric("device_errors_total", kind="out_of_memory") == 3  # of 8, and of 4 twice
        boxes = str([[n, 0, 5, 5] for n in range(6)])
        assert (
            await running.client.post("/pose", params={"boxes": boxes}, content=PICTURE)
        ).status_code == 200
        assert running.metric("device_errors_total", kind="out_of_memory") == 3
        assert (await running.client.get("/readyz")).status_code == 200


async def test_a_picture_that_no_memory_is_left_for_is_answered_503_and_the_service_goes_on() -> None:
    def no_room_for_black(crops: Tensor) -> None:
        if any(map(is_black, crops)):
            raise torch.OutOfMemoryError("CUDA out of memory")

    async with in_process({"echo-pose": EchoPose(no_room_for_black)}) as running:
        refused = await running.client.post("/pose", content=plain((0, 0, 0)))
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/device-failed")
        assert (await running.client.post("/pose", content=PICTURE)).status_code == 200
        assert (await running.client.get("/livez")).status_code == 200


class AcceleratorError(RuntimeError):
    """As torch calls it where there is a GPU."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), Failure.OUT_OF_MEMORY),
        (MemoryError(), Failure.OUT_OF_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), Failure.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), Failure.OUT_OF_MEMORY),
        (AcceleratorError("CUDA error: out of memory"), Failure.OUT_OF_MEMORY),
        (AcceleratorError("CUDA error: device-side assert triggered"), Failure.FATAL),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), Failure.FATAL),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), Failure.FATAL),
        (RuntimeError("shape mismatch"), Failure.ITEM),
        (ValueError("CUDA error: so somebody says"), Failure.ITEM),
    ],
)
def test_a_failure_is_told_apart_by_what_can_be_done(error: Exception, expected: Failure) -> None:
    assert failure_of(error) is expected


async def test_a_decoder_that_fails_is_one_answer_of_500() -> None:
    def fail_on_black(pixels: Tensor) -> None:
        if is_black(pixels):
            raise RuntimeError("a defect")

    async with in_process({"echo-pose": EchoPose(before_prepare=fail_on_black)}) as running:
        assert (await running.client.post("/pose", content=plain((0, 0, 0)))).status_code == 500
        assert (await running.client.post("/pose", content=PICTURE)).status_code == 200
        assert running.parts.admission.bytes == 0


async def test_a_decoder_that_hangs_makes_the_service_not_live() -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(before_prepare=gate)}, hang_after_s=0.05) as running:
        hanging = running.client.post("/pose", content=PICTURE, headers={"X-Timeout-Ms": "50"})
        assert (await hanging).status_code == 504
        assert running.metric("deadline_exceeded_total", stage="decode") == 1
        await until(lambda: not running.parts.lifecycle.is_alive)
        assert "decode thread" in (await running.client.get("/livez")).json()["reason"]
        gate.open()


def model_held_at(stage: str, gate: Gate) -> EchoPose:
    """Stands at a stage until the gate opens; what waits stands behind another request."""
    if stage == "decode":
        return EchoPose(before_prepare=gate)
    return EchoPose(before_finish=gate) if stage == "encode" else EchoPose(gate)


async def reached(running: Running, stage: str, gate: Gate) -> None:
    if stage == "wait":
        await until(lambda: running.parts.batcher.line.waiting() == 1)
    else:
        await gate.entered()


@pytest.mark.parametrize("stage", STAGES)
async def test_a_client_that_leaves_frees_its_place_at_every_stage(stage: str) -> None:
    gate = Gate()
    models = {"echo-pose": model_held_at(stage, gate)}
    async with on_sockets(models, max_pose_batch=1) as running:
        path = "/pose?format=npz"  # encoded by a thread, as all but short JSON
        ahead = [asyncio.create_task(running.client.post(path, content=PICTURE))] if stage == "wait" else []
        if ahead:
            await gate.entered()
        leaving = await Connection.open(running.address)
        leaving.send(request(PICTURE, path))
        await reached(running, stage, gate)
        await leaving.leave()
        await until(lambda: running.metric("cancelled_total", stage=stage) == 1)
        assert running.parts.admission.requests == len(ahead)
        assert running.parts.admission.coming.total() == 0
        gate.open()
        assert await statuses(ahead) == [200] * len(ahead)  # type: ignore[arg-type]
        await until(lambda: running.parts.admission.bytes == 0)


@pytest.mark.parametrize("stage", STAGES)
async def test_a_deadline_counts_at_every_stage(stage: str) -> None:
    gate = Gate()
    async with in_process({"echo-pose": model_held_at(stage, gate)}, max_pose_batch=1) as running:
        path = "/pose?format=npz"
        ahead = [asyncio.create_task(running.client.post(path, content=PICTURE))] if stage == "wait" else []
        if ahead:
            await gate.entered()
        late = await running.client.post(path, content=PICTURE, headers={"X-Timeout-Ms": "150"})
        assert late.json()["type"] == "/problems/deadline-exceeded"
        assert running.metric("deadline_exceeded_total", stage=stage) == 1
        assert running.parts.admission.requests == len(ahead)
        gate.open()
        assert await statuses(ahead) == [200] * len(ahead)  # type: ignore[arg-type]


async def test_the_work_of_clients_that_leave_is_not_computed() -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}, max_pose_batch=8) as running:
        connections = [await Connection.open(running.address) for _ in range(31)]
        connections[0].send(request(PICTURE))
        await gate.entered()
        for connection in connections[1:]:
            connection.send(request(PICTURE))
        await until(lambda: running.parts.batcher.line.waiting() == 30)
        staying = connections[:1] + [c for n, c in enumerate(connections[1:]) if n % 10 >= 3]
        for connection in set(connections) - set(staying):
            await connection.leave()
        await until(lambda: running.parts.batcher.line.waiting() == 21)
        gate.open()
        assert {(await connection.answer()).status for connection in staying} == {200}
        assert running.pose.batch_sizes == [1, 8, 8, 5]
        for connection in staying:
            await connection.leave()


async def test_a_client_that_closes_its_half_of_the_connection_counts_as_gone() -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}) as running:
        connection = await Connection.open(running.address)
        connection.send(request(PICTURE))
        await gate.entered()
        connection.writer.write_eof()
        await until(lambda: running.metric("cancelled_total", stage="model") == 1)
        assert running.parts.admission.requests == 0
        gate.open()
        await connection.leave()


async def test_a_client_that_left_while_its_body_was_read_by_a_thread_counts_as_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, is_lost = Gate(), asyncio.Event()

    class Watched(server.Connection):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            is_lost.set()

    monkeypatch.setattr(server, "Connection", Watched)
    document = orjson.dumps({"image": base64.b64encode(noise(400, 300)).decode()})
    assert len(document) > PARSED_HERE_BYTES
    async with on_sockets({"echo-pose": model_held_at("decode", gate)}, decode_threads=1) as running:
        ahead = asyncio.create_task(running.client.post("/pose", content=PICTURE))
        await gate.entered()
        leaving = await Connection.open(running.address)
        leaving.send(request(document, content_type="application/json"))
        await until(lambda: running.parts.admission.bytes > len(document))
        await leaving.leave()
        await is_lost.wait()
        gate.open()
        assert (await ahead).status_code == 200
        await until(lambda: running.metric("requests_total", route="/pose", status="499") == 1)
        assert running.parts.admission.requests == 0


async def test_a_client_that_reads_slowly_holds_up_nobody_and_reads_the_whole() -> None:
    picture = noise(1200, 900)
    async with on_sockets({"echo-parsing": EchoSegmentation(), "echo-pose": EchoPose()}) as running:
        slow = await Connection.open(running.address)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        slow.send(request(picture, "/pose?format=overlay"))
        await until(lambda: running.metric("requests_total", route="/pose", status="200") == 1)
        assert running.parts.admission.requests == 0
        assert (await running.client.post("/segment", content=PICTURE)).status_code == 200
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answer = await asyncio.wait_for(slow.answer(), 30)
        assert (answer.status, len(answer.body) > 1_000_000) == (200, True)
        await slow.leave()


async def test_a_client_that_sends_slowly_holds_no_thread() -> None:
    async with on_sockets(decode_threads=1) as running:
        slow = await Connection.open(running.address)
        data = request(PICTURE)
        slow.send(data[:-20])
        await until(lambda: running.parts.admission.bytes > 0)
        assert (await running.client.post("/pose", content=PICTURE)).status_code == 200
        assert (await slow.ask(data[-20:])).status == 200
        await slow.leave()


async def test_a_model_is_recorded_once_for_each_size_it_ran() -> None:
    sizes: list[tuple[int, int]] = []
    async with in_process({"echo-pose": EchoPose(before_record=sizes.append)}) as running:
        assert sizes == []
        assert await ask_in_turn(running, 3) == [200] * 3
        await until(lambda: len(sizes) == 1)

    assert sizes == [SIZE]


async def test_a_model_that_cannot_be_recorded_answers_as_before(caplog: pytest.LogCaptureFixture) -> None:
    def fail(size: tuple[int, int]) -> None:
        raise RuntimeError("no such operation")

    async with in_process({"echo-pose": EchoPose(before_record=fail)}) as running:
        assert await ask_in_turn(running, 1) == [200]
        await until(lambda: "cannot be recorded" in caplog.text)
        assert await ask_in_turn(running, 1) == [200]


async def test_nothing_is_recorded_where_the_settings_say_so() -> None:
    sizes: list[tuple[int, int]] = []
    async with in_process({"echo-pose": EchoPose(before_record=sizes.append)}, record=False) as running:
        assert await ask_in_turn(running, 2) == [200] * 2

    assert sizes == []


async def ask_in_turn(running: Running, count: int) -> list[int]:
    return [(await running.client.post("/pose", content=PICTURE)).status_code for _ in range(count)]
