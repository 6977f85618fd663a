"""Settings: where they come from, which are refused, how they are documented."""

import os
from pathlib import Path

import pytest

from service.__main__ import SPINS, main
from service.settings import Settings, SettingsError, read_settings
from service.settings_page import parse_flags, settings_page
from tests.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HRFORMER_")]:
        monkeypatch.delenv(name)


def test_flags_go_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "service.toml"
    file.write_text("port = 1\nmax_requests = 1\nmax_pose_batch = 1\n")
    monkeypatch.setenv("HRFORMER_CONFIG", str(file))
    monkeypatch.setenv("HRFORMER_PORT", "2")
    monkeypatch.setenv("HRFORMER_MAX_REQUESTS", "2")
    settings = read_settings(parse_flags(["--port", "3"]))
    assert (settings.port, settings.max_requests, settings.max_pose_batch) == (3, 2, 1)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_FORMATS", "jpeg, png")
    assert read_settings({"models": "a,b"}).models == ("a", "b")
    assert read_settings({}).formats == ("JPEG", "PNG")


def test_lists_of_a_file_are_lists(tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text('formats = ["JPEG"]\n')
    assert read_settings({"config": tmp_path / "service.toml"}).formats == ("JPEG",)


def test_the_variable_of_the_tests_is_no_unknown_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_REFERENCE", "/somewhere")
    assert read_settings({}).port == 8000


BAD = {
    "unknown variable": ({"HRFORMER_PROT": "1"}, "", "HRFORMER_PROT is no setting"),
    "no number": ({"HRFORMER_PORT": "eight"}, "", "HRFORMER_PORT"),
    "out of range": ({"HRFORMER_TIMEOUT_MS": "0"}, "", "HRFORMER_TIMEOUT_MS"),
    "unknown format": ({"HRFORMER_FORMATS": "PSD"}, "", "HRFORMER_FORMATS"),
    "unknown name in the file": ({}, "prot = 1", "prot (HRFORMER_PROT): there is no such setting"),
    "a file that is no TOML": ({}, "port 1", "config"),
    "float16 on a CPU": ({"HRFORMER_PRECISION": "float16", "HRFORMER_DEVICE": "cpu"}, "", "precision"),
    "no room for two pictures": ({"HRFORMER_MAX_WAITING_BYTES": "2000000"}, "", "max_waiting_bytes"),
    "no room for a batch": (
        {"HRFORMER_MAX_POSE_BATCH": "100", "HRFORMER_MAX_WAITING_ITEMS": "64"},
        "",
        "max_waiting_items",
    ),
    "a deadline that nobody may ask for": ({"HRFORMER_MAX_TIMEOUT_MS": "1000"}, "", "max_timeout_ms"),
    "a certificate without its key": ({"HRFORMER_TLS_CERTIFICATE": "/c"}, "", "tls_key"),
    "a rate without keys": ({"HRFORMER_KEY_RATE": "1"}, "", "api_keys_file"),
    "a wait longer than the deadline": (
        {"HRFORMER_MAX_WAIT_MS": "9", "HRFORMER_TIMEOUT_MS": "9"},
        "",
        "max_wait_ms",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_setting_that_cannot_be_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment, file, expected = BAD[name]
    (tmp_path / "service.toml").write_text(file)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        read_settings({"config": tmp_path / "service.toml"})
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"no file /nowhere\.toml"):
        read_settings({"config": "/nowhere.toml"})


def test_every_setting_has_a_flag_and_a_line_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_flags(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert all(f"--{name.replace('_', '-')} " in text for name in Settings.model_fields)


def test_an_unknown_flag_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_flags(["--prot", "1"])
    assert end.value.code == 2


def test_the_page_of_the_settings_is_made_from_the_class() -> None:
    """Made anew by `python -c "from service.settings_page import *; print(settings_page(), end='')"`."""
    assert (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


@pytest.mark.parametrize(("given", "expected"), [(None, SPINS), ("7", "7")])
def test_helpers_of_operations_sleep_soon_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", given or "")
    if given is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setattr("service.server.serve", lambda settings: 0)

    assert main([]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == expected
