"""What only real sockets show: clients that leave, stall, or send more than they said."""

import asyncio
import gc
import socket
import sys
import weakref

import pytest

from service import server
from service.server import drop_dead_readers, let_nobody_connect
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


async def test_a_client_that_leaves_while_sending_is_counted() -> None:
    async with on_sockets() as running:
        _, writer = await connect(running)
        writer.write(head(10_000) + PICTURE)
        await until(lambda: running.parts.admission.bytes > 0)
        await leave(writer)
        await until(lambda: running.metric("cancelled_total", stage="receive") == 1)
        assert running.parts.admission.bytes == 0
        assert running.metric("requests_total", route="/pose", status="499") == 1


async def test_a_closed_connection_is_forgotten_without_a_search_for_cycles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[weakref.ref[server.Connection]] = []

    class Watched(server.Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            made.append(weakref.ref(self))

    monkeypatch.setattr(server, "Connection", Watched)
    async with on_sockets() as running:
        gc.disable()
        try:
            reader, writer = await connect(running)
            writer.write(head(len(PICTURE)) + PICTURE)
            assert (await answer_of(reader)).startswith(b"http/1.1 200")
            await leave(writer)
            await until(lambda: made[0]() is None)
        finally:
            gc.enable()


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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere packets are not counted")
async def test_an_answer_comes_in_one_packet() -> None:
    async with on_sockets() as running:
        reader, writer = await connect(running)
        for count in (1, 2):
            writer.write(head(len(PICTURE)) + PICTURE)
            answer = await answer_of(reader)
            await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
            information = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 156)
            assert int.from_bytes(information[152:], sys.byteorder) == count  # tcpi_data_segs_in
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


def test_a_client_that_reads_nothing_for_long_is_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        drop_dead_readers(listener, 0.1)
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
            with connection, pytest.raises(TimeoutError, match="timed out"):
                connection.sendall(bytes(64 * 1024 * 1024))  # more than the system takes off our hands


@pytest.mark.skipif(sys.platform != "linux", reason="the filter of a listener is Linux's")
def test_before_a_listener_closes_nobody_connects_and_who_has_connected_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as early:
            let_nobody_connect(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            taken, _ = listener.accept()
            listener.close()
            with taken:
                early.sendall(b"asked")
                assert taken.recv(5) == b"asked"
                taken.sendall(b"answered")
                assert early.recv(8) == b"answered"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
