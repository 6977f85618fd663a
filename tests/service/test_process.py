"""The service as a process: start, stop, exit codes, what it writes."""

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.service.echo_server import BLACK, GREEN, RED
from tests.service.pictures import plain
from tests.service.processes import connected, free_port, logged, run, server, stopped_under_load


async def test_what_was_accepted_is_answered_through_sigterm_and_the_exit_code_is_0() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="0") as running:
        accepted = asyncio.create_task(running.client.post("/pose", content=plain(BLACK)))
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


async def test_nobody_waits_for_a_search_for_cycles() -> None:
    async with server(ECHO_COLLECTIONS="1", ECHO_CONSTANT="1") as running:
        assert running.process.stdout is not None
        while await said(running.process.stdout, within_s=1):
            pass  # of the start
        for _ in range(200):
            assert (await running.client.post("/pose", content=plain())).status_code == 200
        assert await said(running.process.stdout, within_s=0.2) == b""


async def said(output: asyncio.StreamReader, within_s: float) -> bytes:
    """The next line, or nothing when there is none in time."""
    try:
        return await asyncio.wait_for(output.readline(), within_s)
    except TimeoutError:
        return b""


async def test_work_is_taken_for_a_while_after_sigterm() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="600") as running:
        running.process.send_signal(signal.SIGTERM)
        while (await running.client.get("/readyz")).status_code == 200:
            pass
        answer = await running.client.post("/pose", content=plain())
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_a_model_that_hangs_does_not_keep_the_process_from_ending() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="0") as running:
        hanging = running.client.post("/pose", content=plain(BLACK), headers={"X-Timeout-Ms": "500"})
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


@pytest.mark.parametrize("grace_s", ["0", "0.3"])
async def test_no_request_is_lost_when_the_service_stops_under_load(grace_s: str) -> None:
    statuses, code = await stopped_under_load(grace_s)
    assert (statuses <= {200, 503}, code) == (True, 0)


async def test_a_lost_device_answers_503_and_ends_the_process_with_exit_code_1() -> None:
    async with server(HRFORMER_MAX_POSE_BATCH="1") as running:
        first = asyncio.create_task(running.client.post("/pose", content=plain(BLACK)))
        await running.held()
        others = []
        for number, colour in enumerate((RED, (1, 2, 3), (4, 5, 6)), 1):
            others.append(asyncio.create_task(running.client.post("/pose", content=plain(colour))))
            await until_queued(running.client, number)
        running.let_go()
        assert (await first).status_code == 200
        assert {(await other).json()["type"] for other in others} == {"/problems/device-failed"}
        assert await running.ended() == 1


async def until_queued(client: httpx.AsyncClient, count: int) -> None:
    line = f'hrformer_queue_items{{model="echo-pose"}} {count}.0'
    while line not in (await client.get("/metrics")).text:
        pass


async def test_a_call_that_hangs_answers_503_and_ends_the_process_with_exit_code_1() -> None:
    async with server(HRFORMER_HANG_AFTER_S="0.2") as running:
        answer = await running.client.post("/pose", content=plain(GREEN))
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/device-failed")
        assert await running.ended() == 1


async def test_sighup_swaps_the_models(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("aaaaaaaaaaaa")
    async with server(str(tmp_path / "version")) as running:
        before = await running.client.post("/pose", content=plain())
        (tmp_path / "version").write_text("bbbbbbbbbbbb")
        running.process.send_signal(signal.SIGHUP)
        await logged(running.process, "models swapped")
        after = await running.client.post("/pose", content=plain())
        found = [answer.headers["x-model-version"] for answer in (before, after)]
        assert found == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]


async def test_a_killed_process_breaks_the_connection_and_a_new_one_takes_its_port() -> None:
    port = str(free_port())
    async with server(HRFORMER_PORT=port) as running:
        asking = asyncio.create_task(running.client.post("/pose", content=plain(BLACK)))
        await running.held()
        running.process.kill()
        with pytest.raises(httpx.TransportError):
            await asking
        await running.process.wait()
        async with server(HRFORMER_PORT=port) as successor:
            assert (await successor.client.post("/pose", content=plain())).status_code == 200


async def test_a_full_disk_under_the_log_stops_no_answer() -> None:
    port, full = free_port(), os.open("/dev/full", os.O_WRONLY)
    process = await run("tests.service.echo_server", stderr=full, HRFORMER_PORT=str(port))
    os.close(full)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        await connected(client)
        while (await client.get("/readyz")).status_code != 200:
            pass
        answer = await client.post("/pose", content=plain())
    process.terminate()
    await process.communicate()
    # 120 is Python's own word for a last line that stderr did not take.
    assert answer.status_code == 200
    assert process.returncode in (0, 120)
