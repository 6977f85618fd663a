"""From a connection to a job: room for it, its body within limits, its deadline, a client that stays."""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from service.admission import Admission, Hold
from service.body import Upload, discard_body, is_bare, max_bytes_of, parse_upload, read_body
from service.decoding import Pool
from service.disconnect import unless_gone, watch_of
from service.exchange import Exchange, deadline_of, is_urgent
from service.lifecycle import Draining, Lifecycle
from service.settings import Settings
from service.stage import Job

PARSED_HERE_BYTES = 64 * 1024  # a longer form or JSON is read in the pool


@dataclass(frozen=True)
class Intake:
    """Takes requests that carry a picture."""

    settings: Settings
    lifecycle: Lifecycle
    admission: Admission
    decoding: Pool
    parse: Callable[[Mapping[str, str], bytes, int], Upload] = parse_upload  # headers, body, most bytes
    reads: Callable[[str], bool] = lambda content_type: not is_bare(content_type)  # or takes it as it is
    envelope_bytes: int = 0  # that a body may have beside the picture, whatever its type

    async def answer(
        self, request: Request, work: Callable[[Upload, Job], Coroutine[Any, Any, Response]]
    ) -> Response:
        """What `work` answers, given up when the deadline passes or the client leaves.

        raises: Problem, Refused kin, NotReady, Draining, DeviceFailed, DeadlineExceeded, ClientGone, and what
        `work` raises.
        """
        exchange: Exchange = request.state.exchange
        headers = exchange.headers
        try:
            self.lifecycle.check_accepting()
        except Draining:
            # Read to its end, so that the connection can be closed with the answer.
            with suppress(TimeoutError):
                await discard_body(request.receive, self.settings.body_timeout_s)
            exchange.is_body_read = True
            raise
        limits_ms = self.settings.timeout_ms, self.settings.max_timeout_ms
        deadline = deadline_of(exchange, headers, *limits_ms)
        urgent = is_urgent(headers)
        with self.lifecycle.accepted(), self.admission.request() as hold:
            async with deadline.enforced():
                upload = await self._upload(request.receive, headers, exchange, hold)
                job = Job(upload.image, exchange, deadline, urgent, hold)
                return await unless_gone(watch_of(request.scope, request.receive), work(upload, job))

    async def _upload(
        self, receive: Receive, headers: Mapping[str, str], exchange: Exchange, hold: Hold
    ) -> Upload:
        content_type = headers.get("content-type", "")
        max_image_bytes = self.settings.max_body_bytes
        with exchange.during("receive"):
            body = await read_body(
                receive,
                declared_bytes=_declared_bytes(headers),
                max_bytes=max_bytes_of(content_type, max_image_bytes) + self.envelope_bytes,
                timeout_s=self.settings.body_timeout_s,
                on_bytes=lambda count: self.admission.keep(hold, count),
            )
            exchange.is_body_read, exchange.received_at = True, exchange.clock()
            # Waking a thread of the pool costs more than to find that there is nothing to read.
            if not self.reads(content_type) or len(body) <= PARSED_HERE_BYTES:
                return self.parse(headers, body, max_image_bytes)
            return await self.decoding.run(
                self.parse, headers, body, max_image_bytes, kind="body", size=len(body)
            )


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else None
