"""`docs/operations.md`: what it names is there, and what it makes is sound."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.metrics import Metrics
from service.server import LAST_CALL_S, LAST_WORDS_S, SLOW_READERS_S
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
PANELS = yaml.safe_load((ROOT / "docker" / "grafana" / "panels.yml").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
TARGETS = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def longest_stop_s() -> float:
    """From SIGTERM to the end of the process, with the longest deadline that clients may ask for."""
    settings = Settings()
    work_s = settings.drain_grace_s + settings.max_timeout_ms / 1000
    return work_s + SLOW_READERS_S + LAST_WORDS_S + LAST_CALL_S


def missing_links(page: str, folder: Path) -> list[str]:
    """Links of a page in this folder that lead to no file, or to no section of the page itself."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    sections = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = [link.partition("#") for link in re.findall(r"\]\((?!http)([^)]+)\)", page)]
    missing = [file for file, _, _ in links if not (folder / file).exists()]
    return missing + [section for file, _, section in links if not file and section not in sections]


def test_links_lead_to_files_and_sections() -> None:
    assert missing_links(PAGE, ROOT / "docs") == []


def test_settings_that_it_names_are_settings() -> None:
    named = set(re.findall(r"`((?!hrformer_)[a-z]+(?:_[a-z]+)+)`", PAGE))
    elsewhere = {"mem_limit", "stop_grace_period", "request_id", "rolled_back", "flip_test"}
    assert named - elsewhere - Settings.model_fields.keys() == set()


def test_metrics_that_it_names_are_metrics() -> None:
    families = {family.name for family in Metrics().registry.collect()}
    assert set(re.findall(r"`(hrformer_[a-z_]+)`", PAGE)) <= families


def test_panels_that_it_names_are_on_the_dashboard() -> None:
    titles = {panel["title"] for row in PANELS for panel in row["panels"]}
    named = set(re.findall(r'"([A-Z][a-zA-Z0-9 ,]+)"', PAGE))
    assert named - titles == set()


def test_targets_that_it_names_are_targets() -> None:
    assert set(re.findall(r"`make ([a-z-]+)", PAGE)) <= set(TARGETS)


def test_compose_waits_as_long_as_a_stop_may_take_and_the_page_says_how_long() -> None:
    waits_s = int(COMPOSE["services"]["service"]["stop_grace_period"].removesuffix("s"))
    assert longest_stop_s() <= waits_s
    assert f"takes up to {math.ceil(longest_stop_s())} s, and compose waits {waits_s} s" in " ".join(
        PAGE.split()
    )
    assert f"--stop-timeout {waits_s}" in PAGE


def test_the_setting_and_the_page_say_how_much_longer_than_the_longest_deadline_a_stop_may_take() -> None:
    settings = Settings()
    longer_s = math.ceil(longest_stop_s() - settings.max_timeout_ms / 1000)
    assert f"{longer_s} s longer" in str(Settings.model_fields["max_timeout_ms"].description)
    assert f"to {longer_s} s more" in PAGE
    assert f"up to {longer_s + settings.timeout_ms // 1000} s where no client asks for more" in PAGE


def test_the_last_spans_have_time_too() -> None:
    tracing = pytest.importorskip("service.tracing", reason="spans need: pip install 'hrformer[tracing]'")
    waits_s = int(COMPOSE["services"]["service"]["stop_grace_period"].removesuffix("s"))
    assert longest_stop_s() + tracing.LAST_SPANS_S <= waits_s
    assert f"waits up to {tracing.LAST_SPANS_S:g} s for it" in PAGE


def test_the_rules_become_resources_of_the_operator(tmp_path: Path) -> None:
    command = re.search(r"```sh\n(for file in .*?)```", PAGE, re.DOTALL)
    assert command is not None
    shutil.copytree(ROOT / "docker" / "prometheus", tmp_path / "docker" / "prometheus")
    subprocess.run(["sh", "-euc", command[1]], cwd=tmp_path, check=True)
    made = list(yaml.safe_load_all((tmp_path / "rules.yml").read_text()))
    assert [one["kind"] for one in made] == ["PrometheusRule", "PrometheusRule"]
    for one, file in zip(made, ("recording", "alerts"), strict=True):
        assert one["spec"] == yaml.safe_load((ROOT / f"docker/prometheus/{file}.yml").read_text())
