"""`docs/api.md`: its commands are run, its tables are those of the program."""

import asyncio
import re
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from service.formats.table import PEOPLE_FORMATS, POSE_FORMATS, SEGMENT_FORMATS
from service.options import POSE
from service.problem_kinds import KINDS
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT
from tests.service.conftest import echo_models, on_sockets
from tests.service.echo_models import EchoPeople

PAGE = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def first_cells(header: str) -> list[str]:
    """What stands in the first column of the table with this header, without the code marks."""
    rows = PAGE.split(header)[1].split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def names_in(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


@pytest.mark.skipif(shutil.which("curl") is None, reason="the commands of docs/api.md need curl")
async def test_the_commands_of_the_page_are_answered(tmp_path: Path) -> None:
    shutil.copy(ASTRONAUT, tmp_path / "photo.jpg")
    async with on_sockets(echo_models() | {"echo-people": EchoPeople()}) as running:
        here = f"127.0.0.1:{running.address[1]}"
        for command in COMMANDS:
            line = command.replace("localhost:8000", here).replace("hrformer-tiny-pose", "echo-pose")
            line = line.replace("curl ", "curl -sS -w '%{stderr}%{http_code}' ")
            process = await asyncio.create_subprocess_shell(line, cwd=tmp_path, stdout=PIPE, stderr=PIPE)
            _, status = await asyncio.wait_for(process.communicate(), 60)
            assert status == (b"415" if "no picture" in command else b"200"), command
    assert names_in(tmp_path) == {"photo.jpg", "boxes.png", "pose.png", "mask.png", "parts.png"}


def test_the_page_lists_every_option() -> None:
    assert first_cells("| option | routes |") == list(POSE)


def test_the_page_lists_every_format() -> None:
    known = POSE_FORMATS.keys() | PEOPLE_FORMATS.keys() | SEGMENT_FORMATS.keys()
    assert set(first_cells("| `format` | `/pose` |")) == known


def test_the_page_lists_every_problem() -> None:
    rows = PAGE.split("| status | `/problems/…` |")[1].splitlines()[2:]
    assert {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)} == KINDS.keys()
