"""`docs/load.md`: its commands are run, and it names every flag and every fate."""

import asyncio
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from service.load.figures import Fate
from service.load.flags import parser
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT
from tests.service.conftest import on_sockets

PAGE = (REPOSITORY / "docs" / "load.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def first_cells(header: str) -> list[str]:
    """What stands in the first column of the table with this header, without the code marks."""
    rows = PAGE.split(header)[1].split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


async def test_the_commands_of_the_page_are_answered(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy(ASTRONAUT, tmp_path / "photos" / "photo.jpg")
    async with on_sockets() as running:
        here = f"http://127.0.0.1:{running.address[1]}"
        for command in COMMANDS:
            assert command.startswith("hrformer-load")
            flags = command.replace("hrformer-load", "").replace("http://localhost:8000", "")
            line = f"{sys.executable} -m service.load {here} {flags} --seconds 1 --warm-up 0"
            environment = {"PYTHONPATH": str(REPOSITORY)}
            process = await asyncio.create_subprocess_shell(
                line, cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE
            )
            out, complaint = await asyncio.wait_for(process.communicate(), 60)
            assert (process.returncode, complaint) == (0, b""), command
            assert b"good" in out
    assert (tmp_path / "load.svg").exists()


def test_the_page_lists_every_flag() -> None:
    known = {flag for action in parser()._actions for flag in action.option_strings} - {"-h", "--help"}
    assert set(first_cells("| flag | meaning |")) == known


def test_the_page_lists_every_fate() -> None:
    assert first_cells("| a request is | if |") == [fate.value for fate in Fate]
