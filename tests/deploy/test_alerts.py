"""The rules of Prometheus: they are sound, each alert is seen to fire and to end, and each has its page."""

import re
from typing import Any

import pytest
import yaml

from service.exchange import ROUTES
from service.metrics import Metrics
from service.problem_kinds import KINDS
from tests.deploy.prometheus import FOLDER, ROOT, promtool

GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
RULES = (FOLDER / "recording.yml").read_text() + (FOLDER / "alerts.yml").read_text()
TESTS = sorted(path.name for path in (FOLDER / "tests").glob("*.yml"))
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()


def looks() -> list[tuple[str, bool]]:
    """Alert and whether it is expected to fire, for every look that the rule tests take."""
    files = [yaml.safe_load((FOLDER / "tests" / name).read_text()) for name in TESTS]
    asked = [look for file in files for test in file["tests"] for look in test["promql_expr_test"]]
    names = [(re.search(r'alertname="(\w+)"', look["expr"]), look) for look in asked]
    return [(found[1], bool(look["exp_samples"])) for found, look in names if found]


def test_promtool_accepts_configuration_and_rules() -> None:
    answer = promtool("check", "config", "prometheus.yml")
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("name", TESTS)
def test_the_rules_do_what_their_tests_say(name: str) -> None:
    answer = promtool("test", "rules", f"tests/{name}")
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_before_while_and_after_it_fires(alert: str) -> None:
    fires = [fires for name, fires in looks() if name == alert]
    assert fires[0] is False
    assert True in fires
    assert fires[-1] is False


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{alert.lower()}"


def test_the_runbook_has_a_section_for_every_alert_and_no_other() -> None:
    assert re.findall(r"^### (HRFormer\w+)$", RUNBOOK, re.MULTILINE) == list(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_section_of_the_runbook_says_how_bad_what_it_means_what_to_look_at_and_what_to_do(
    alert: str,
) -> None:
    section = RUNBOOK.partition(f"### {alert}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    parts = re.findall(r"^\*\*(\w[\w ]+)\.\*\* \S", section, re.MULTILINE)
    assert parts == ["Means", "Look at", "Do"]
    assert f"`{ALERTS[alert]['labels']['severity']}`" in section


def test_the_objective_is_a_boundary_of_the_histogram() -> None:
    metrics = Metrics()
    page, _ = metrics.page("")
    assert set(re.findall(r'le="([^"]+)"', RULES)) <= set(re.findall(r'le="([^"]+)"', page.decode()))


def test_the_rules_know_only_reasons_that_there_are() -> None:
    assert {
        reason for said in re.findall(r'reason!~"([^"]+)"', RULES) for reason in said.split("|")
    } <= KINDS.keys()


def test_the_rules_ask_for_routes_that_pictures_are_sent_to() -> None:
    taking = {"/pose", "/segment", "/people", "/v2/models/{name}/infer"}
    for said in re.findall(r'route=~"([^"]+)"', RULES):
        assert {route for route in ROUTES if re.fullmatch(said, route)} == taking
