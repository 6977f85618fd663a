"""HTTP/1.1 over connections that are kept: requests as bytes, answers whatever their status.

Lean enough to load a service from the machine that it runs on; `docs/load.md` says what a request costs here.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import SplitResult, urlsplit

import httptools

PROBLEM = b"application/problem+json"


class BadAddress(ValueError):
    """A URL that no service can have."""


class ConnectionLost(OSError):
    """The connection ended, or sent what is no HTTP, before the answer was whole."""


@dataclass(frozen=True)
class Address:
    """Where a service is."""

    host: str
    port: int
    secure: bool = False  # over TLS
    prefix: str = ""  # of every path

    @classmethod
    def of(cls, url: str) -> "Address":
        """`http://host:port`, with or without a path. raises: BadAddress."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadAddress(f"{url} is no address: {error}; expected http://host:port") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or _has_more(parts):
            raise BadAddress(f"{url} is no address of a service; expected http://host:port")
        is_secure = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if is_secure else 80), is_secure, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """As the header Host gives it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[bytes, bytes]  # names in lower case
    body: bytes
    ended_at: float  # s, when the last byte was read, by the event loop's clock
    stays_open: bool = True  # whether the connection can be used again

    @property
    def problem(self) -> str:
        """The slug of a problem (`overloaded`), or nothing where the answer is none of the service's."""
        if not self.headers.get(b"content-type", b"").startswith(PROBLEM):
            return ""
        try:
            return str(json.loads(self.body)["type"]).rpartition("/")[2]
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def server_ms(self) -> float | None:
        """From arrival to answer by the service's own clock, where it says so."""
        found = self.headers.get(b"server-timing", b"").partition(b"total;dur=")[2]
        try:
            return float(found.split(b",")[0])
        except ValueError:
            return None

    @property
    def retry_after_s(self) -> float | None:
        """Seconds after which to ask again, where the service says so."""
        seconds = self.headers.get(b"retry-after", b"")
        return float(seconds) if seconds.isdigit() else None


def encode_request(
    address: Address, path: str, body: bytes = b"", headers: Mapping[str, str] = {}, method: str = "POST"
) -> bytes:
    """The bytes of a request, to be sent as often as wanted."""
    lines = [f"{method} {address.prefix}{path} HTTP/1.1", f"Host: {address.authority}"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, address: Address) -> "Connection":
        """raises: OSError."""
        context = ssl.create_default_context() if address.secure else None
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, address.host, address.port, ssl=context)
        return connection

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """The answer. raises: ConnectionLost, when awaited."""
        assert self._waiting is None or self._waiting.done(), "one request at a time"
        self._waiting = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            self._waiting.set_exception(ConnectionLost("the service has closed the connection"))
        else:
            self._transport.write(request)
        return self._waiting

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Leaves, whether the answer is there or not."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the service has closed the connection" if exc is None else str(exc))

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, stays_open = self._parser.get_status_code(), self._parser.should_keep_alive()
        answer = Answer(status, self._headers, b"".join(self._body), self._loop.time(), stays_open)
        self._headers, self._body = {}, []
        if status >= 200 and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _fail(self, reason: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost(reason))


def _has_more(parts: SplitResult) -> bool:
    return bool(parts.query or parts.fragment or parts.username)
