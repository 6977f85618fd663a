"""The service as a process: start, stop, exit codes, what it writes."""

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
from pathlib import Path

import httpx

from tests.conftest import REPOSITORY
from tests.service.conftest import until
from tests.service.pictures import plain

BLACK = plain((0, 0, 0))


@dataclass
class Server:
    process: Process
    client: httpx.AsyncClient

    async def held(self) -> None:
        """Returns when the model waits with a black picture."""
        assert self.process.stdout is not None
        assert await asyncio.wait_for(self.process.stdout.readline(), 30) == b"held\n"

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


async def run(*arguments: str, **environment: str) -> Process:
    command = [sys.executable, "-m", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HRFORMER_")}
    environ = {**inherited, **environment, "OMP_NUM_THREADS": "1"}
    return await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, env=environ, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def server(**environment: str) -> AsyncIterator[Server]:
    """A process that is ready."""
    port = free_port()
    process = await run("tests.service.echo_server", HRFORMER_PORT=str(port), **environment)
    try:
        await logged(process, "ready")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await connected(client)
            yield Server(process, client)
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


async def connected(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.ConnectError):
                await client.get("/livez")
                return


async def test_what_was_accepted_is_answered_through_sigterm_and_the_exit_code_is_0() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="0") as running:
        accepted = asyncio.create_task(running.client.post("/pose", content=BLACK))
        await running.held()
        running.process.send_signal(signal.SIGTERM)
        while (ready := await running.client.get("/readyz")).status_code == 200:
            pass
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert (await running.client.get("/livez")).status_code == 200
        refused = await running.client.post("/pose", content=plain())
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/draining")
        running.let_go()
        assert (await accepted).status_code == 200
        assert await running.ended() == 0


async def test_work_is_taken_for_a_while_after_sigterm() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="600") as running:
        running.process.send_signal(signal.SIGTERM)
        while (await running.client.get("/readyz")).status_code == 200:
            pass
        answer = await running.client.post("/pose", content=plain())
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_a_model_that_hangs_does_not_keep_the_process_from_ending() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="0") as running:
        hanging = running.client.post("/pose", content=BLACK, headers={"X-Timeout-Ms": "500"})
        asking = asyncio.create_task(hanging)
        await running.held()
        running.process.send_signal(signal.SIGTERM)
        assert (await asking).json()["type"] == "/problems/deadline-exceeded"
        assert await running.ended() == 0


async def test_ctrl_c_stops_without_the_grace_period() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="600") as running:
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0


async def test_a_setting_that_cannot_be_is_one_line_and_exit_code_2() -> None:
    process = await run("service", HRFORMER_PORT="99999")
    out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert err.decode().splitlines()[0].startswith("hrformer serve: port (HRFORMER_PORT): ")
    assert len(err.splitlines()) == 1


async def test_weights_that_are_not_there_end_the_process_with_exit_code_1(tmp_path: Path) -> None:
    process = await run("service", "--weights", str(tmp_path), "--port", "0")
    _, err = await process.communicate()
    assert process.returncode == 1
    messages = [json.loads(line)["message"] for line in err.splitlines()]
    assert any("cannot be loaded: there is no manifest" in message for message in messages)


async def test_a_port_that_is_taken_ends_the_process_with_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        process = await run("tests.service.echo_server", HRFORMER_PORT=port)
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"address already in use" in err


async def ask_until_refused(port: int, statuses: list[int]) -> None:
    """Asks on and on, over connections kept as long as the service allows; a missing answer is an error."""
    body = plain()
    request = b"POST /pose HTTP/1.1\r\nHost: service\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        head = b""
        while b"connection: close" not in head:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            statuses.append(int(head[9:12]))
        writer.close()


async def test_no_request_is_lost_when_the_service_stops_under_load() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="0.3", HRFORMER_LOG_LEVEL="info") as running:
        statuses: list[int] = []
        port = running.client.base_url.port
        clients = [asyncio.create_task(ask_until_refused(port or 0, statuses)) for _ in range(16)]
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        await until(lambda: len(statuses) > 100)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)
        assert await running.ended() == 0
        assert set(statuses) == {200, 503}
        await reading
