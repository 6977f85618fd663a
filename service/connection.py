"""uvicorn's connection with bounds on all that comes beside a body: how long it is, and how long it takes."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.disconnect import LEAVING, Departure
from service.problems import Problem, problem_response

_CONTINUE = b"HTTP/1.1 100 "  # the client is to send its body
MAX_HEAD_BYTES = 64 * 1024  # of the request line and the headers

_DETAILS = {
    "not-http": "what was sent is not HTTP/1.1; let an HTTP library send it",
    "slow-head": "the headers did not arrive in time; send them at once",
    "head-too-large": f"the request line and the headers have more than {MAX_HEAD_BYTES} bytes; "
    "send less of them, and long options in the body",
}


@dataclass(frozen=True)
class Patience:
    """Seconds that a client may take."""

    head_s: float  # from the connection, or the first byte of a further request, to the end of the headers
    body_s: float  # for what it goes on sending after an early answer


class Connection(HttpToolsProtocol):
    """A connection that a client can neither fill with headers nor hold without a request.

    What is within the bounds goes on as uvicorn does it; while a request is answered, the application looks
    after its body. on_refusal: told the status of an answer that the application never hears of.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: Patience,
        on_refusal: Callable[[str], None],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience, self._on_refusal = patience, on_refusal
        self._timer: asyncio.TimerHandle | None = None
        self._coming: Literal["request", "head", "body"] = "request"
        self._departure = Departure()
        self._stalled_bytes = 0  # since a request began, or its body went on; those of the same read excepted

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        self._departure.happen()

    def data_received(self, data: bytes) -> None:
        self._stalled_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._stalled_bytes > MAX_HEAD_BYTES:
            self._refuse("head-too-large")
        elif self._timer is None and not self._is_answering:
            self._start_timer()

    def on_message_begin(self) -> None:
        self._coming, self._stalled_bytes = "head", 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._coming == "head":  # what follows a body in chunks would pass for a header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stalled_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._stalled_bytes > MAX_HEAD_BYTES:
            # Ends the parser, and comes back as send_400_response.
            raise ValueError(_DETAILS["head-too-large"])
        self._stop_timer()
        self._coming, self._stalled_bytes = "body", 0
        super().on_headers_complete()
        self.scope["extensions"] = {LEAVING: {"watch": self._departure.watch}}
        if self.scope["method"] != "HEAD":  # whose answers have nothing to wait for
            self.cycle.transport = cast("asyncio.Transport", _OnePacket(self.transport))

    def on_body(self, body: bytes) -> None:
        self._stalled_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._coming = "request"
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse("head-too-large" if self._stalled_bytes > MAX_HEAD_BYTES else "not-http")

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn types it as if there always were one
        return cycle is not None and not cycle.response_complete

    def _start_timer(self) -> None:
        after_s = self._patience.body_s if self._coming == "body" else self._patience.head_s
        self._timer = self.loop.call_later(after_s, self._end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """The time is over. Nobody is told who has not begun to ask, or was answered."""
        if self._coming == "head":
            self._refuse("slow-head")
        else:
            self.transport.close()

    def _refuse(self, slug: str) -> None:
        """Closes the connection, with an answer unless it would be taken for that of an earlier request."""
        if not self._is_answering:
            problem = Problem(slug, _DETAILS[slug])
            self.transport.write(_bytes_of(problem))
            self._on_refusal(str(problem.kind.status))
        self.transport.close()


class _OnePacket:
    """Where uvicorn writes an answer: its head goes out with the first of its body.

    Each write is a call of the system and a packet, and wakes the client.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # None until it is there, empty once it is sent
        self.close, self.is_closing = transport.close, transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head is None and not data.startswith(_CONTINUE):
            self._head = data
        elif self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        else:
            self._transport.write(data)


def _bytes_of(problem: Problem) -> bytes:
    """The answer on the wire."""
    request_id = f"{random.getrandbits(128):032x}"
    response = problem_response(problem, request_id)
    response.headers.update(
        {"connection": "close", "x-request-id": request_id, "x-content-type-options": "nosniff"}
    )
    lines = [b"%b: %b\r\n" % header for header in response.raw_headers]
    return b"".join([STATUS_LINE[problem.kind.status], *lines, b"\r\n", bytes(response.body)])
