"""The front door of the command line: what it says and how it exits."""

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from hrformer import __version__
from hrformer.cli import main as front
from hrformer.cli.main import COMMANDS, Command, main

REPOSITORY = Path(__file__).parents[2]


def hrformer(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hrformer.cli.main", *arguments]
    environment = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120
    )


def command(monkeypatch: pytest.MonkeyPatch, run: object, extra: str = "") -> None:
    """Puts a command `try` into the table, whose code is `run`."""
    monkeypatch.setattr(front, "command_for_tests", run, raising=False)
    target = f"{front.__name__}:command_for_tests"
    monkeypatch.setitem(COMMANDS, "try", Command(target, "for tests", extra))


def raising(error: BaseException) -> object:
    def run(argv: list[str]) -> int:
        raise error

    return run


def test_help_lists_every_command_and_does_not_import_torch() -> None:
    code = "import sys; from hrformer.cli.main import main; main(['--help']); print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.endswith("False\n")
    assert all(f"\n  {name} " in answer.stdout for name in COMMANDS)


def test_models_are_listed_without_torch() -> None:
    code = (
        "import sys; from hrformer.cli.models import main; main(['--manifest', 'tests/cli/manifest.toml']);"
        "print('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.endswith("False\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_code(name: str) -> None:
    module, _, function = COMMANDS[name].target.partition(":")
    assert find_spec(module) is not None
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([name, "--help"])
    assert leaving.value.code == 0
    assert f"hrformer {name}" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hrformer {__version__}\n"


def test_no_command_is_wrong_use() -> None:
    assert main([]) == 2


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verfy"]) == 2
    assert capsys.readouterr().err == "hrformer: there is no command 'verfy': did you mean verify?\n"


def test_a_command_that_is_near_none_is_answered_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xyzzy"]) == 2
    assert "there are predict, serve" in capsys.readouterr().err


def test_arguments_and_exit_code_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, len)
    assert main(["try", "a", "--b", "c"]) == 3


@pytest.mark.parametrize("error", [ValueError("no such\n  thing"), FileNotFoundError("no such thing")])
def test_an_error_about_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    command(monkeypatch, raising(error))
    assert main(["try"]) == 2
    assert capsys.readouterr().err == "hrformer try: no such thing\n"


def test_a_defect_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, raising(AssertionError("a defect")))
    with pytest.raises(AssertionError, match="a defect"):
        main(["try"])


def test_an_interruption_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, raising(KeyboardInterrupt()))
    assert main(["try"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, raising(ModuleNotFoundError("No module", name="uvicorn.main")), extra="serve")
    assert main(["try"]) == 2
    assert "hrformer try needs uvicorn.main: pip install 'hrformer[serve]'" in capsys.readouterr().err


def test_a_missing_module_of_our_own_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, raising(ModuleNotFoundError("No module", name="hrformer.gone")), extra="serve")
    with pytest.raises(ModuleNotFoundError):
        main(["try"])


def test_a_reader_that_leaves_early_gets_no_trace() -> None:
    code = (
        "import sys; from hrformer.cli import main as m; m.flood = lambda argv: print('x' * 10**6) or 0;"
        "m.COMMANDS['flood'] = m.Command('hrformer.cli.main:flood', ''); sys.exit(m.main(['flood']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


def test_wrong_flags_exit_with_2() -> None:
    answer = hrformer("models", "--colour")
    assert answer.returncode == 2
    assert "unrecognized arguments: --colour" in answer.stderr


def test_a_missing_manifest_is_one_line_and_2(tmp_path: Path) -> None:
    answer = hrformer("models", HRFORMER_WEIGHTS=str(tmp_path))
    assert answer.returncode == 2
    assert answer.stderr.startswith("hrformer models: there is no manifest")
    assert answer.stderr.count("\n") == 1
