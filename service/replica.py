"""The service as one of several behind a common front: asked when it is ready, watched with the others."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from service.lifecycle import Lifecycle
from service.parts import Parts

REQUEST_ID = "X-Request-ID"


class Replica:
    """The application of `create_app` for a front that starts and stops it by the ASGI lifespan alone.

    Its start ends when every model is loaded and warm, or fails with the reason; its stop begins by answering
    all that was taken.
    """

    def __init__(self, app: FastAPI) -> None:
        parts: Parts = app.state.parts
        self._app, self._lifecycle = app, parts.lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            lifespan = _Lifespan(self._lifecycle, receive, send)
            await self._app(scope, lifespan.receive, lifespan.send)
        else:
            await self._app(scope, receive, _without_request_id(send, Headers(scope=scope)))


@dataclass(frozen=True)
class _Lifespan:
    """Both ends of the channel by which an application is started and stopped."""

    lifecycle: Lifecycle
    outer_receive: Receive
    outer_send: Send

    async def receive(self) -> Message:
        message = await self.outer_receive()
        if message["type"] == "lifespan.shutdown":
            await self.lifecycle.drain(grace_s=0.0)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete" and not await self._is_ready():
            message = {"type": "lifespan.startup.failed", "message": self.lifecycle.reason}
        await self.outer_send(message)

    async def _is_ready(self) -> bool:
        """Known when the models are warm, or when they cannot be loaded."""
        events = (self.lifecycle.started, self.lifecycle.stop)
        waiting = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return self.lifecycle.is_ready


class Together(Collector):
    """The instruments of all replicas as one set, each series with the label `replica`."""

    def __init__(self, pages: Mapping[str, Iterable[Metric]]) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for replica, families in self._pages.items():
            for one in families:
                whole = found.setdefault(one.name, Metric(one.name, one.documentation, one.type, one.unit))
                whole.samples += [
                    sample._replace(labels={**sample.labels, "replica": replica}) for sample in one.samples
                ]
        yield from found.values()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Text and content type, as that of a single service."""
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type


def _without_request_id(send: Send, asked: Headers) -> Send:
    """Without the header that the front adds itself: an answer has one."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get(REQUEST_ID) == asked.get(REQUEST_ID):
                del headers[REQUEST_ID]
        await send(message)

    return sent
