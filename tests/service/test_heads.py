"""What comes beside a body is bounded, in length and in time."""

import asyncio

import pytest

from tests.service.conftest import Running, on_sockets, until
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import plain
from tests.service.raw_client import Connection, request

PICTURE = plain()
LIMIT = 64 * 1024
GET = b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n"
CHUNKED = b"POST /pose HTTP/1.1\r\nHost: service\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def connect(running: Running) -> Connection:
    return await Connection.open(running.address)


async def closed(connection: Connection) -> bytes:
    """What comes before the end, however the connection ends."""
    try:
        return await asyncio.wait_for(connection.reader.read(), 30)
    except ConnectionResetError:
        return b""
    finally:
        connection.writer.close()


async def pour(connection: Connection, data: bytes, times: int) -> int:
    """How often the data could be sent before the service closed the connection."""
    for count in range(times):
        try:
            connection.send(data)
            await connection.writer.drain()
        except ConnectionError:
            return count
        if connection.reader.at_eof():
            return count
    return times


@pytest.mark.parametrize(
    "head",
    [
        f"GET /livez HTTP/1.1\r\nX-Long: {'x' * LIMIT}\r\n\r\n",
        f"GET /livez?{'x' * LIMIT} HTTP/1.1\r\nHost: service\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" + "X-Short: 1\r\n" * (LIMIT // 7) + "\r\n",
    ],
    ids=["one header", "the path", "many headers"],
)
async def test_a_head_that_is_too_large_is_answered_431_and_the_connection_closed(head: str) -> None:
    async with on_sockets() as running:
        connection = await connect(running)
        answer = await connection.ask(head.encode())
        assert (answer.status, answer.json()["type"]) == (431, "/problems/head-too-large")
        assert answer.headers[b"x-request-id"].decode() == answer.json()["request_id"]
        assert answer.headers[b"connection"] == b"close"
        assert await closed(connection) == b""
        assert running.metric("requests_total", route="other", status="431") == 1


async def test_a_head_within_the_bound_is_answered_however_it_comes() -> None:
    async with on_sockets() as running:
        connection = await connect(running)
        head = b"GET /livez HTTP/1.1\r\nX-Long: " + b"x" * (LIMIT - 100) + b"\r\n\r\n"
        for start in range(0, len(head), 1000):
            connection.send(head[start : start + 1000])
            await connection.writer.drain()
        assert (await connection.answer()).status == 200
        connection.writer.close()


@pytest.mark.parametrize(
    "begin",
    [b"GET /livez HTTP/1.1\r\nX-Endless: ", CHUNKED + b"0\r\nX-Endless: ", b"\r\n"],
    ids=["a header", "a trailer", "nothing"],
)
async def test_what_never_ends_is_cut_off_long_before_60_megabytes(begin: bytes) -> None:
    data = b"\r\n" * 8192 if begin == b"\r\n" else b"x" * 16384
    async with on_sockets() as running:
        connection = await connect(running)
        connection.send(begin)
        assert await pour(connection, data, 3600) < 1200  # what the system holds for both sides comes on top
        await closed(connection)
        assert (await running.client.get("/livez")).status_code == 200


async def test_headers_that_come_slowly_are_answered_408_and_the_connection_closed() -> None:
    async with on_sockets(header_timeout_s=0.05) as running:
        connection = await connect(running)
        answer = await connection.ask(GET[:-2])
        assert (answer.status, answer.json()["type"]) == (408, "/problems/slow-head")
        assert await closed(connection) == b""
        assert running.metric("requests_total", route="other", status="408") == 1


async def test_a_further_request_that_comes_slowly_is_treated_alike() -> None:
    async with on_sockets(header_timeout_s=0.05) as running:
        connection = await connect(running)
        assert (await connection.ask(GET)).status == 200
        assert (await connection.ask(GET[:-2])).status == 408
        assert await closed(connection) == b""


async def test_a_connection_on_which_nothing_is_asked_is_closed_without_a_word() -> None:
    async with on_sockets(header_timeout_s=0.05) as running:
        assert await closed(await connect(running)) == b""
        connection = await connect(running)
        connection.send(b"\r\n")
        assert await closed(connection) == b""


async def test_an_answer_may_take_longer_than_the_headers_of_its_request() -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}, header_timeout_s=0.05) as running:
        connection = await connect(running)
        connection.send(request(PICTURE))
        await gate.entered()
        assert await closed(await connect(running)) == b""  # one that came later has used up its time
        gate.open()
        assert (await connection.answer()).status == 200
        connection.writer.close()


async def test_a_body_that_goes_on_slowly_after_an_early_answer_is_cut_off() -> None:
    async with on_sockets(body_timeout_s=0.05) as running:
        connection = await connect(running)
        answer = await connection.ask(request(bytes(100), "/nowhere")[:-50])
        assert answer.status == 404
        connection.send(b"x")
        assert await closed(connection) == b""


async def test_what_follows_a_body_in_chunks_is_no_header() -> None:
    async with on_sockets() as running:
        connection = await connect(running)
        connection.send(CHUNKED)
        await until(lambda: running.metric("inflight_requests", route="/pose") == 1)
        answer = await connection.ask(chunk(PICTURE) + b"0\r\nX-Timeout-Ms: none\r\n\r\n")
        assert answer.status == 200
        connection.writer.close()


async def test_a_body_in_small_chunks_is_read() -> None:
    async with on_sockets() as running:
        connection = await connect(running)
        body = b"".join(chunk(PICTURE[n : n + 1]) for n in range(len(PICTURE))) + chunk(bytes(100_000))
        connection.send(CHUNKED + body + b"0\r\n\r\n")
        assert (await connection.answer()).status == 200
        connection.writer.close()


async def test_what_is_not_http_is_told_so_as_a_problem() -> None:
    async with on_sockets() as running:
        connection = await connect(running)
        answer = await connection.ask(b"nonsense\r\n\r\n")
        assert (answer.status, answer.json()["type"]) == (400, "/problems/not-http")
        assert answer.headers[b"content-type"] == b"application/problem+json"
        await closed(connection)


async def test_a_body_that_stalls_while_the_service_stops_is_no_defect() -> None:
    async with on_sockets(body_timeout_s=0.05) as running:
        running.parts.lifecycle.is_closed = True
        connection = await connect(running)
        answer = await connection.ask(request(PICTURE)[:-10])
        assert (answer.status, answer.json()["type"]) == (503, "/problems/draining")
        connection.writer.close()
