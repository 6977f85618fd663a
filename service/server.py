"""uvicorn with our way of stopping: drain first, then end with an exit code."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.connection import Connection, Patience
from service.exchange import OTHER
from service.lifecycle import State
from service.logs import set_up_logging
from service.models import Model
from service.parts import Parts
from service.reload import Reloader, ReloadFailed
from service.settings import Settings
from service.tls import Certificate

KEEP_ALIVE_S = 30  # an idle connection is kept for so long
# A thread that begins a batch asks for the interpreter a few times, and the cores idle until the event loop,
# which may have a dozen answers to write, gives it away: by default after 5 ms each time.
SWITCH_S = 0.00005
# So many new objects between two searches for cycles: the requests under way make 700, Python's own number,
# dozens of times a second, and hardly any cycle.
NEW_OBJECTS = 10_000
LAST_WORDS_S = 0.3  # from when nobody can connect any more to the end of the last connections
LAST_CALL_S = 1.0  # for all threads to end; nobody waits for their calls any more
SLOW_READERS_S = 30  # clients may take so long to read the last answers after everything is answered
DEAD_READERS_S = 30  # a client that takes nothing of its answer for so long is dropped
LAST_READERS_S = 1  # after a failure, when a new process is worth more than their patience
OK, FAILED, INTERRUPTED = 0, 1, 130
_SO_ATTACH_FILTER = 26  # socket(7); Python has no name for it
_DROP_FIRST_PACKETS = (  # in BPF: code, jump if true, jump if false, value
    (0x30, 0, 0, 13),  # load the byte of TCP's flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK count
    (0x15, 0, 1, 0x02),  # if it is SYN alone, go on; else pass one step over
    (0x06, 0, 0, 0),  # keep nothing
    (0x06, 0, 0, 0xFFFFFFFF),  # keep all
)


class DrainingServer(uvicorn.Server):
    """uvicorn stops listening at a signal and dies by it; this one drains first and has an exit code."""

    def __init__(self, app: FastAPI) -> None:
        """raises: SettingsError."""
        self._parts: Parts = app.state.parts
        self._reloader: Reloader = app.state.reloader
        settings = self._parts.settings
        certificate = None
        if settings.tls_certificate and settings.tls_key:
            certificate = Certificate(settings.tls_certificate, settings.tls_key)
        super().__init__(config_of(app, certificate))
        self._files = [file for file in (app.state.keys, certificate) if file is not None]
        self._reloading: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. A second Ctrl-C: stop now."""
        if self._draining is not None and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._drain, 0.0 if sig == signal.SIGINT else None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in self._listeners():
            with listener:
                drop_dead_readers(listener, DEAD_READERS_S)

    async def serve_until_stopped(self) -> int:
        """Serves; returns the exit code."""
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            self._loop.add_signal_handler(signal.SIGHUP, self._reread)
        stopping = self._loop.create_task(self._stop_when_told())
        try:
            await self.serve()
        except SystemExit:  # uvicorn's, after it has logged why it cannot listen
            return FAILED
        finally:
            stopping.cancel()
        if self.force_exit:
            return INTERRUPTED
        return FAILED if self._parts.lifecycle.state is State.FAILED else OK

    def _drain(self, grace_s: float | None) -> None:
        if self._draining is None:
            grace_s = self._parts.settings.drain_grace_s if grace_s is None else grace_s
            self._draining = asyncio.get_running_loop().create_task(self._parts.lifecycle.drain(grace_s))

    def _reread(self) -> None:
        """API keys and certificate at once; models in the background."""
        for file in self._files:
            file.reread()
        if self._parts.lifecycle.is_ready:
            self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        with suppress(ReloadFailed):  # logged and counted, and nobody waits for an answer
            await self._reloader.run()

    async def _stop_when_told(self) -> None:
        await self._parts.lifecycle.stop.wait()
        if self._parts.lifecycle.state is State.FAILED:
            self.config.timeout_graceful_shutdown = LAST_READERS_S
        for listener in self._listeners():
            with listener:
                let_nobody_connect(listener)
        # Whoever was just connecting, or sends again on an open connection, is still told of the end.
        await asyncio.sleep(LAST_WORDS_S)
        self.should_exit = True

    def _listeners(self) -> list[socket.socket]:
        """The sockets that listen, to be closed by whoever asks; those of the event loop stay open."""
        servers = self.servers if self.started else []
        numbers = [listener.fileno() for server in servers for listener in server.sockets]
        return [socket.socket(fileno=os.dup(number)) for number in numbers]


def drop_dead_readers(listener: socket.socket, after_s: float) -> None:
    """Connections of this listener end when their client takes nothing of an answer for so long.

    Its place in the service is free as soon as the answer is made; but the answer would stay in memory.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; what is accepted inherits it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * after_s))


def let_nobody_connect(listener: socket.socket) -> None:
    """Makes the system drop what asks for a new connection; one that is being made, or was, goes on.

    Whoever connected between the last that is taken and the closing would be reset, with a request sent. Now
    the system asks again for them, a second later, and is told that nobody listens.
    """
    if sys.platform == "linux":
        steps = b"".join(struct.pack("HBBI", *step) for step in _DROP_FIRST_PACKETS)
        code = ctypes.create_string_buffer(steps, len(steps))
        program = struct.pack("HL", len(_DROP_FIRST_PACKETS), ctypes.addressof(code))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def config_of(app: FastAPI, certificate: Certificate | None = None) -> uvicorn.Config:
    """How uvicorn runs the application."""
    parts: Parts = app.state.parts
    settings = parts.settings
    connection = partial(
        Connection,
        patience=Patience(settings.header_timeout_s, settings.body_timeout_s),
        on_refusal=lambda status: parts.metrics.requests(OTHER, status).inc(),
    )
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=cast("type[asyncio.Protocol]", connection),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        proxy_headers=False,  # nothing asks for the client's address
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SLOW_READERS_S,
    )


def serve(settings: Settings, models: Mapping[str, Model] | None = None) -> int:
    """Runs the service until it is told to stop. Exit code 0 once everything accepted is answered.

    models: engines by name, in place of those that the settings name.
    raises: SettingsError.
    """
    set_up_logging(settings.log_level)
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(NEW_OBJECTS)
    app = create_app(settings, models)
    parts: Parts = app.state.parts
    server = DrainingServer(app)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        code = runner.run(_serve(server, parts))
    until = time.monotonic() + LAST_CALL_S
    if not all(threads.has_ended(until - time.monotonic()) for threads in parts.threads):
        # A call that hangs or loads cannot be ended, and the process aborts if it ends under such a thread.
        logging.shutdown()
        os._exit(code)
    return code


async def _serve(server: DrainingServer, parts: Parts) -> int:
    """The exit code."""
    starting = asyncio.create_task(_leave_what_stays_alone(parts))
    try:
        return await server.serve_until_stopped()
    finally:
        starting.cancel()


async def _leave_what_stays_alone(parts: Parts) -> None:
    """Once the models are there: looking for cycles among all that took 0.1 s, and nobody was answered."""
    await parts.lifecycle.started.wait()
    gc.collect()
    gc.freeze()
