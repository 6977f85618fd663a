"""What only real sockets show: clients that leave, stall, or send more than they said."""

import asyncio
import time

import pytest

from tests.service.conftest import Running, in_process, on_sockets, until
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import plain

PICTURE = plain()


def head(length: int, path: str = "/pose", extra: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: service\r\nContent-Length: {length}\r\n{extra}\r\n".encode()


async def connect(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*running.address)


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).lower()


async def test_a_client_that_leaves_frees_its_place_in_the_queue() -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}, max_pose_batch=1) as running:
        staying = asyncio.create_task(running.client.post("/pose", content=PICTURE))
        await gate.entered()
        _, writer = await connect(running)
        writer.write(head(len(PICTURE)) + PICTURE)
        await until(lambda: running.parts.batcher.line.waiting() == 1)
        await leave(writer)
        await until(lambda: running.metric("cancelled_total", stage="wait") == 1)
        assert (running.parts.batcher.line.waiting(), running.parts.admission.requests) == (0, 1)
        gate.open()
        assert (await staying).status_code == 200
        assert running.pose.batch_sizes == [1]


async def test_a_client_that_leaves_while_the_model_runs_is_not_waited_for() -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}) as running:
        _, writer = await connect(running)
        writer.write(head(len(PICTURE)) + PICTURE)
        await gate.entered()
        await leave(writer)
        await until(lambda: running.metric("cancelled_total", stage="model") == 1)
        assert running.parts.admission.requests == 0
        gate.open()


async def test_a_client_that_leaves_while_sending_is_counted() -> None:
    async with on_sockets() as running:
        _, writer = await connect(running)
        writer.write(head(10_000) + PICTURE)
        await until(lambda: running.parts.admission.bytes > 0)
        await leave(writer)
        await until(lambda: running.metric("cancelled_total", stage="receive") == 1)
        assert running.parts.admission.bytes == 0
        assert running.metric("requests_total", route="/pose", status="499") == 1


async def test_a_body_that_stalls_is_answered_408_and_the_connection_closed() -> None:
    async with on_sockets(body_timeout_s=0.05) as running:
        reader, writer = await connect(running)
        writer.write(head(10_000) + PICTURE)
        answer = await answer_of(reader)
        assert answer.startswith(b"http/1.1 408")
        assert b"connection: close" in answer
        await asyncio.wait_for(reader.read(), 30)
        await leave(writer)


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() -> None:
    async with on_sockets() as running:
        reader, writer = await connect(running)
        writer.write(head(21 * 1024 * 1024, extra="Expect: 100-continue\r\n"))
        assert (await answer_of(reader)).startswith(b"http/1.1 413")
        await leave(writer)


async def test_a_client_that_waits_for_permission_to_send_gets_it() -> None:
    async with on_sockets() as running:
        reader, writer = await connect(running)
        writer.write(head(len(PICTURE), extra="Expect: 100-continue\r\n"))
        assert (await answer_of(reader)).startswith(b"http/1.1 100")
        writer.write(PICTURE)
        assert (await answer_of(reader)).startswith(b"http/1.1 200")
        await leave(writer)


async def test_a_client_that_sends_on_after_a_refusal_still_reads_it() -> None:
    async with on_sockets(max_body_bytes=1024) as running:
        answer = await running.client.post("/pose", content=bytes(4 * 1024 * 1024))
        assert answer.json()["type"] == "/problems/body-too-large"
        assert (await running.client.post("/pose", content=PICTURE)).status_code == 200


async def test_requests_sent_at_once_on_one_connection_are_answered_in_order() -> None:
    async with on_sockets() as running:
        reader, writer = await connect(running)
        requests = [head(len(PICTURE), extra=f"X-Request-ID: r{n}\r\n") + PICTURE for n in range(3)]
        writer.write(b"".join(requests))
        for n in range(3):
            answer = await answer_of(reader)
            assert f"x-request-id: r{n}".encode() in answer
            length = int(answer.split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        await leave(writer)


async def test_a_deadline_passes_while_the_model_hangs() -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}) as running:
        begun = time.monotonic()
        answer = await running.client.post("/pose", content=PICTURE, headers={"X-Timeout-Ms": "50"})
        assert (answer.status_code, time.monotonic() - begun < 5) == (504, True)
        assert running.metric("deadline_exceeded_total", stage="model") == 1
        gate.open()


async def test_no_picture_is_answered_for_another() -> None:
    """Two hundred pictures at once, each of its own colour, over real connections."""
    colours = [(n, (n * 7) % 256, 200) for n in range(200)]
    async with on_sockets(max_requests=1000) as running:

        async def ask(colour: tuple[int, int, int]) -> tuple[float, float]:
            answer = await running.client.post("/pose", content=plain(colour))
            point = answer.json()["people"][0]["keypoints"][3]
            return point["x"], point["y"]

        found = await asyncio.gather(*(ask(colour) for colour in colours))
        assert found == [(float(red), float(green)) for red, green, _ in colours]
        assert max(running.pose.batch_sizes) > 1


async def test_one_bad_picture_fails_alone_in_its_batch() -> None:
    gate = Gate()

    def fail_on_black(crops: object) -> None:
        gate(crops)  # type: ignore[arg-type]
        if any(int(crop.sum()) == 0 for crop in crops):  # type: ignore[attr-defined]
            raise RuntimeError("black")

    async with in_process({"echo-pose": EchoPose(fail_on_black)}) as running:
        first = asyncio.create_task(running.client.post("/pose", content=PICTURE))
        await gate.entered()
        colours = [(9, 9, 9), (0, 0, 0), (8, 8, 8)]
        rest = [
            asyncio.create_task(running.client.post("/pose", content=plain(colour))) for colour in colours
        ]
        await until(lambda: running.parts.batcher.line.waiting() == 3)
        gate.open()
        assert [(await request).status_code for request in [first, *rest]] == [200, 200, 500, 200]


async def test_an_urgent_request_goes_first() -> None:
    gate = Gate()
    seen: list[int] = []

    def note(crops: object) -> None:
        gate(crops)  # type: ignore[arg-type]
        seen.append(int(crops[0, 0, 0, 0]))  # type: ignore[index]

    async with in_process({"echo-pose": EchoPose(note)}, max_pose_batch=1) as running:
        requests = [asyncio.create_task(running.client.post("/pose", content=plain((1, 0, 0))))]
        await gate.entered()
        for red, priority in ((2, "normal"), (3, "high")):
            headers = {"X-Priority": priority}
            requests.append(
                asyncio.create_task(running.client.post("/pose", content=plain((red, 0, 0)), headers=headers))
            )
            await until(lambda red=red: running.parts.batcher.line.waiting() == red - 1)  # type: ignore[misc]
        gate.open()
        await asyncio.gather(*requests)
        assert seen == [1, 3, 2]


async def test_a_request_of_many_boxes_is_answered_whole_over_several_batches() -> None:
    async with in_process(max_pose_batch=5) as running:
        boxes = str([[n, 0, 5, 5] for n in range(12)])
        answer = await running.client.post("/pose", params={"boxes": boxes}, content=PICTURE)
        assert len(answer.json()["people"]) == 12
        assert running.pose.batch_sizes == [5, 5, 2]


@pytest.mark.parametrize("content", [b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n"])
async def test_what_is_not_http_does_no_harm(content: bytes) -> None:
    async with on_sockets() as running:
        reader, writer = await connect(running)
        writer.write(content)
        assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 400")
        await leave(writer)
        assert (await running.client.get("/livez")).status_code == 200
