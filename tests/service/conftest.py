"""The real application over ASGI, and on real sockets, with stand-in models handed in at the front door."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.models import Model
from service.parts import Parts
from service.server import DrainingServer
from service.settings import Settings
from tests.service.echo_models import EchoPose, EchoSegmentation

if TYPE_CHECKING:
    from tests.service.collector import Collector


@dataclass
class Running:
    """A service that has started, and a client of it."""

    client: httpx.AsyncClient
    parts: Parts
    pose: EchoPose = field(default_factory=EchoPose)  # the stand-in, where it serves
    address: tuple[str, int] = ("", 0)

    def metric(self, name: str, **labels: str) -> float:
        self.parts.refresh_gauges()
        return self.parts.metrics.registry.get_sample_value(f"hrformer_{name}", labels) or 0.0


Start = Callable[..., AbstractAsyncContextManager[Running]]


async def until(condition: Callable[[], bool]) -> None:
    """Lets everything else run until the condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # the condition may depend on any part
            await asyncio.sleep(0)


def pose_of(models: Mapping[str, Model]) -> EchoPose:
    return next(model for model in models.values() if isinstance(model, EchoPose))


def echo_models() -> dict[str, Model]:
    return {"echo-pose": EchoPose(), "echo-parsing": EchoSegmentation()}


@asynccontextmanager
async def serving(app: FastAPI, *, until_started: bool = True) -> AsyncIterator[Running]:
    """An application over ASGI, running, and ready unless told otherwise."""
    parts: Parts = app.state.parts
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        client = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=None)
        await stack.enter_async_context(client)
        if until_started:
            await asyncio.wait_for(parts.lifecycle.started.wait(), 30)
        yield Running(client, parts)
    # It may be recording, and torch aborts a process that ends meanwhile.
    await asyncio.to_thread(parts.loader.has_ended, 30)


@asynccontextmanager
async def in_process(
    models: Mapping[str, Model] | None = None, *, until_started: bool = True, **settings: Any
) -> AsyncIterator[Running]:
    """The application with stand-in models, which run one batch at a time."""
    models = models or echo_models()
    async with serving(
        create_app(Settings(**{"threads": 1} | settings), models), until_started=until_started
    ) as running:
        running.pose = pose_of(models)
        yield running


@asynccontextmanager
async def on_sockets(models: Mapping[str, Model] | None = None, **settings: Any) -> AsyncIterator[Running]:
    """The application behind uvicorn on a free port of this process, ready."""
    models = models or echo_models()
    app = create_app(Settings(**{"threads": 1} | settings), models)
    listener = socket.create_server(("127.0.0.1", 0))
    server = DrainingServer(app)
    serving = asyncio.create_task(server._serve([listener]))
    parts: Parts = app.state.parts
    address = listener.getsockname()
    try:
        await asyncio.wait_for(parts.lifecycle.started.wait(), 30)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{address[1]}") as client:
            yield Running(client, parts, pose_of(models), address)
    finally:
        server.should_exit = True
        await serving


@pytest.fixture(scope="session")
async def service() -> AsyncIterator[Running]:
    """One service for all tests that only ask and answer."""
    async with in_process() as running:
        yield running


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Collector]":
    """Where the spans of this test go; they are all there when the service has ended."""
    from tests.service.collector import collecting

    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector
