"""The client that `hrformer-load` sends with: connections over real sockets to whatever may answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.client.connection import Address, BadAddress, Connection, ConnectionLost, encode_request
from service.client.pool import Pool
from tests.service.conftest import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nye"


class Canned(asyncio.Protocol):
    """Answers whatever it hears with the same bytes, piece by piece."""

    def __init__(self, parts: Sequence[bytes], then_close: bool, heard: list[bytes]) -> None:
        self.parts, self.then_close, self.heard = parts, then_close, heard
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)
        for part in self.parts:
            self.transport.write(part)
        if self.then_close:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


@asynccontextmanager
async def answering(*parts: bytes, then_close: bool = False) -> AsyncIterator[tuple[Address, list[bytes]]]:
    """Where such a server is, and what it hears; at the end everybody must have left."""
    heard: list[bytes] = []
    connections: list[Canned] = []

    def connect() -> Canned:
        connections.append(Canned(parts, then_close, heard))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1]), heard
        await asyncio.wait_for(asyncio.gather(*(one.ended for one in connections)), 10)


async def asked(parts: Sequence[bytes], *, then_close: bool = False) -> tuple[int, bytes]:
    async with answering(*parts, then_close=then_close) as (address, _):
        connection = await Connection.open(address)
        answer = await connection.ask(encode_request(address, "/pose"))
        connection.close()
        return answer.status, answer.body


@pytest.mark.parametrize(
    "parts",
    [
        [OK],
        [OK[:9], OK[9:25], OK[25:]],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n", b"1\r\ne\r\n0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nye"],
    ],
    ids=["whole", "in pieces", "in chunks", "after a 100", "the last one"],
)
async def test_an_answer_is_read_whatever_form_it_has(parts: list[bytes]) -> None:
    assert await asked(parts) == (200, b"ye")


@pytest.mark.parametrize(
    "parts", [[], [OK[:-1]], [b"SSH-2.0-OpenSSH\r\n"]], ids=["none", "cut short", "no HTTP"]
)
async def test_an_answer_that_is_not_whole_is_a_lost_connection(parts: list[bytes]) -> None:
    with pytest.raises(ConnectionLost):
        await asked(parts, then_close=True)


async def test_a_request_is_what_the_service_reads() -> None:
    async with answering(OK) as (address, heard):
        pool = Pool(address)
        headers = {"X-Timeout-Ms": "5"}
        await pool.ask(encode_request(address, "/pose?boxes=whole", b"picture", headers))
        pool.close()
    head, _, body = heard[0].partition(b"\r\n\r\n")
    host = f"Host: 127.0.0.1:{address.port}".encode()
    lines = [b"POST /pose?boxes=whole HTTP/1.1", host, b"Content-Length: 7", b"X-Timeout-Ms: 5"]
    assert (head.split(b"\r\n"), body) == (lines, b"picture")


async def test_connections_are_kept_for_the_next_request() -> None:
    async with answering(OK) as (address, _):
        pool, request = Pool(address), encode_request(address, "/pose")
        for _ in range(3):
            await asyncio.gather(*(pool.ask(request) for _ in range(4)))
        pool.close()
    assert pool.opened == 4


async def test_no_more_connections_are_opened_than_allowed() -> None:
    async with answering(OK) as (address, heard):
        pool, request = Pool(address, max_connections=2), encode_request(address, "/pose")
        await asyncio.gather(*(pool.ask(request) for _ in range(10)))
        pool.close()
    assert (pool.opened, len(heard)) == (2, 10)


async def test_a_connection_that_the_service_has_closed_is_not_taken_again() -> None:
    async with answering(OK, then_close=True) as (address, heard):
        pool, request = Pool(address), encode_request(address, "/pose")
        await pool.ask(request)
        await until(lambda: not pool._idle[0].is_open)
        await pool.ask(request)
        pool.close()
    assert (pool.opened, len(heard)) == (2, 2)


async def test_whoever_is_cancelled_closes_the_connection() -> None:
    """Or `answering` would wait for its end."""
    async with answering() as (address, heard):
        asking = asyncio.create_task(Pool(address).ask(encode_request(address, "/pose")))
        await until(lambda: len(heard) == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "prefix"),
    [
        ("http://localhost:8000", "localhost", 8000, False, ""),
        ("https://pose.example/v1/", "pose.example", 443, True, "/v1"),
        ("http://[::1]:81", "::1", 81, False, ""),
    ],
)
def test_an_address_is_read(url: str, host: str, port: int, secure: bool, prefix: str) -> None:
    assert Address.of(url) == Address(host, port, secure, prefix)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "http://h:0x1", "http://u@h", "http://h/?a"]
)
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(BadAddress, match="expected http://host:port"):
        Address.of(url)
