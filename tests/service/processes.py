"""The service as a process of its own, and clients that load it."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

from tests.conftest import REPOSITORY
from tests.service.conftest import until
from tests.service.pictures import plain
from tests.service.raw_client import Connection, request


@dataclass
class Server:
    process: Process
    client: httpx.AsyncClient
    address: tuple[str, int]

    async def held(self) -> None:
        """Returns when the model waits with a black picture."""
        assert self.process.stdout is not None
        assert await asyncio.wait_for(self.process.stdout.readline(), 30) == b"held\n"

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


async def run(*arguments: str, stderr: int = PIPE, **environment: str) -> Process:
    command = [sys.executable, "-m", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HRFORMER_")}
    environ = {**inherited, **environment, "OMP_NUM_THREADS": "1"}
    return await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, env=environ, stdin=PIPE, stdout=PIPE, stderr=stderr
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def server(*arguments: str, **environment: str) -> AsyncIterator[Server]:
    """A process that is ready."""
    port = int(environment.setdefault("HRFORMER_PORT", str(free_port())))
    process = await run("tests.service.echo_server", *arguments, **environment)
    try:
        await logged(process, "ready")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await connected(client)
            yield Server(process, client, ("127.0.0.1", port))
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def logged(process: Process, message: str) -> dict[str, object]:
    """The log line with this message."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        async for line in process.stderr:
            entry: dict[str, object] = json.loads(line)
            if entry["message"] == message:
                return entry
    raise AssertionError(f"the process ended and never logged {message!r}")


@asynccontextmanager
async def log_read(running: Server) -> AsyncIterator[None]:
    """Somebody reads the log, or it would fill its pipe."""
    assert running.process.stderr is not None
    reading = asyncio.create_task(running.process.stderr.read())
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.wait([reading])


async def connected(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.ConnectError):
                await client.get("/livez")
                return


async def ask_until_refused(address: tuple[str, int], statuses: list[int]) -> None:
    """Asks on and on, over connections kept as long as the service allows; a missing answer is an error."""
    data = request(plain())
    while True:
        try:
            connection = await Connection.open(address)
        except ConnectionRefusedError:
            return
        is_kept = True
        while is_kept:
            answer = await connection.ask(data)
            statuses.append(answer.status)
            is_kept = answer.headers.get(b"connection") != b"close"
        connection.writer.close()


async def stopped_under_load(grace_s: str) -> tuple[set[int], int]:
    """Statuses of all answers and the exit code, when sixteen clients ask and SIGTERM comes."""
    async with server(HRFORMER_DRAIN_GRACE_S=grace_s, HRFORMER_THREADS="2") as running:
        statuses: list[int] = []
        clients = [asyncio.create_task(ask_until_refused(running.address, statuses)) for _ in range(16)]
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        await until(lambda: len(statuses) > 100)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)
        code = await running.ended()
        await reading
        return set(statuses), code
