"""`hrformer-load` on the real service with a stand-in model: what it sent is what the service got."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.load.command import main
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT
from tests.service.processes import Server, run, server

SMALL = ("--sizes", "64x48,96x96", "--warm-up", "0")


@asynccontextmanager
async def logging_server(**environment: str) -> AsyncIterator[Server]:
    """A server whose log somebody reads, or it would wait for that."""
    async with server(**environment) as running:
        reading = asyncio.create_task(running.process.stderr.read())  # type: ignore[union-attr]
        yield running
        running.process.terminate()
        await reading


async def loaded(address: tuple[str, int], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, figures and what it complains of."""
    command = ["service.load", f"http://localhost:{address[1]}", *SMALL, "--json", *arguments]
    process = await run(*command)
    out, complaint = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, json.loads(out or b"{}"), complaint.decode()


async def counted(running: Server) -> dict[str, int]:
    """Answers of /pose by status, as the service itself counts them."""
    page = (await running.client.get("/metrics")).text
    found = re.findall(r'^hrformer_requests_total\{route="/pose",status="(\d+)"\} (\S+)$', page, re.MULTILINE)
    return {status: int(float(count)) for status, count in found}


async def test_what_it_counts_is_what_the_service_counts() -> None:
    """In both loops, with a tenth of the requests wrong and nobody leaving."""
    async with logging_server(ECHO_CONSTANT="1") as running:
        for load in (("--rate", "100"), ("--clients", "3")):
            before = await counted(running)
            code, found, _ = await loaded(
                running.address, *load, "--seconds", "1", "--invalid", "0.1", "--leave", "0"
            )
            [figures] = found["loads"]
            after = await counted(running)
            got = {
                status: count - before[status] for status, count in after.items() if count > before[status]
            }
            sent: dict[str, int] = {}
            for status, count in figures["statuses"].items():
                sent[status[:3]] = sent.get(status[:3], 0) + count
            assert (code, sent) == (0, got)
            assert set(figures["fates"]) == {"good", "invalid"}
            assert {"415 not-an-image", "400 unknown-option"} <= figures["statuses"].keys()


async def test_clients_that_leave_are_counted_by_both() -> None:
    async with logging_server(ECHO_BATCH_MS="100") as running:
        flags = (
            "--rate",
            "50",
            "--seconds",
            "1",
            "--invalid",
            "0",
            "--leave",
            "0.5",
            "--leave-within-ms",
            "50",
        )
        _, found, _ = await loaded(running.address, *flags)
        [figures] = found["loads"]
        got = await counted(running)
        assert figures["fates"]["good"] == got["200"]
        assert figures["fates"]["left"] == figures["sent"] - got["200"]
        assert 0 < got["499"] <= figures["fates"]["left"]  # some leave before the service has read their head


async def test_ctrl_c_gives_the_figures_so_far() -> None:
    async with logging_server(ECHO_CONSTANT="1") as running:
        url = f"http://127.0.0.1:{running.address[1]}"
        process = await run("service.load", url, *SMALL, "--rate", "100", "--seconds", "600", "--json")
        async with asyncio.timeout(30):
            while (await counted(running)).get("200", 0) < 30:
                pass
        process.send_signal(signal.SIGINT)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        found = json.loads(out)
        assert (process.returncode, found["interrupted"]) == (130, True)
        assert found["loads"][0]["fates"]["good"] >= 25


async def test_one_table_and_one_picture_for_several_rates(tmp_path: Path) -> None:
    async with logging_server(ECHO_CONSTANT="1") as running:
        picture = tmp_path / "load.svg"
        command = [sys.executable, "-m", "service.load", f"http://127.0.0.1:{running.address[1]}", *SMALL]
        flags = [
            "--rate",
            "20,60",
            "--seconds",
            "1",
            "--photos",
            str(ASTRONAUT.parent),
            "--svg",
            str(picture),
        ]
        answer = await asyncio.to_thread(subprocess.run, [*command, *flags], capture_output=True, text=True)
    assert re.search(r"^20/s +\d", answer.stdout, re.MULTILINE)
    assert re.search(r"^60/s +\d", answer.stdout, re.MULTILINE)
    assert answer.stdout.count("good") >= 3
    assert picture.read_text().count("<polyline") == 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["http://192.0.2.1:80", "--rate", "1"], "192.0.2.1 is not this machine; add --allow-remote"),
        (["http://127.0.0.1:1", "--rate", "1"], "nothing listens on 127.0.0.1:1"),
        (["localhost", "--rate", "1"], "localhost is no address"),
        (["--rate", "1", "--photos", str(REPOSITORY / "service")], "service has no pictures"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--seconds", "1"]) == 2
    line = capsys.readouterr().err
    assert complaint in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "flags",
    [
        ["--rate", "0"],
        ["--rate", "1", "--clients", "1"],
        [],
        ["--clients", "1", "--invalid", "1.5"],
        ["--rate", "1", "--sizes", "64"],
        ["--rate", "1", "--retries", "-1"],
    ],
)
def test_a_flag_that_cannot_be_is_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(flags)
    assert "error:" in capsys.readouterr().err


def test_it_loads_nothing_of_the_service_but_its_client() -> None:
    """Nor what the service is made of: it shall start at once, and fit beside a service under test."""
    code = "import service.load.command, sys; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    loaded = set(out.stdout.split())
    ours = {name for name in loaded if name.startswith(("service.", "hrformer"))}
    assert {name.split(".")[1] for name in ours} == {"client", "load"}
    assert not loaded & {"torch", "fastapi", "starlette", "uvicorn", "httpx", "pydantic"}
