"""The Makefile and the scripts behind it: listed, runnable, and clear about what is missing."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished command, started in the repository with changes to the environment."""
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def test_make_alone_lists_every_target_with_a_line_on_it() -> None:
    listed = re.findall(r"^  make (\S+) +\S", run("make").stdout, re.MULTILINE)
    assert listed == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target: str) -> None:
    assert run("make", "--dry-run", target).returncode == 0


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = run("make", "--assume-old=.venv/installed", "serve", f"PORT={port}")
    assert f"Port {port} is taken; choose another: make serve PORT={port + 1}" in answer.stderr


def test_the_port_comes_from_the_environment_when_it_is_not_given() -> None:
    assert "HRFORMER_PORT=8123" in run("make", "--dry-run", "serve", HRFORMER_PORT="8123").stdout


def test_keys_are_asked_for_when_a_file_of_them_is_named() -> None:
    assert "compose.keys.yml" in run("make", "--dry-run", "up", "API_KEYS=keys.txt").stdout
    assert "compose.keys.yml" not in run("make", "--dry-run", "up").stdout


def test_make_up_traces_where_their_share_is_given() -> None:
    assert "compose.tracing.yml" in run("make", "--dry-run", "up", "TRACING=1").stdout
    assert "compose.tracing.yml" not in run("make", "--dry-run", "up").stdout


def test_tools_that_cannot_be_had_are_said_and_are_no_failure(tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to(shutil.which("sh") or "sh")
    answer = run(".ci/prometheus", str(tmp_path), PATH=str(tmp_path))
    assert answer.returncode == 0
    assert answer.stderr.startswith("NOT CHECKED: alerts and dashboard, since there is no promtool: install")


def test_a_machine_without_a_new_python_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "dirname")
    answer = run(".ci/install", str(tmp_path / "venv"), PATH=str(tmp_path))
    assert (answer.returncode, answer.stderr) == (
        2,
        "HRFormer needs Python 3.11 or newer, and there is none on the PATH\n",
    )


def test_continuous_integration_runs_lint_and_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make")] == [
        "make lint </dev/null",
        "make test </dev/null",
    ]


@pytest.mark.parametrize("script", ["run", "install", "prometheus"])
def test_the_scripts_can_be_executed(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)
