"""The container files agree with each other and keep to least privilege."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GPU: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.gpu.yml").read_text())
KEYS: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.keys.yml").read_text())
TRACING: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.tracing.yml").read_text())
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
SERVED: dict[str, Any] = {**TRACING["services"], **COMPOSE["services"]}
SERVICES = sorted(SERVED)


def has_compose() -> bool:
    """Whether `docker compose` is there; it needs no engine to check a file."""
    command = ["docker", "compose", "version"]
    return bool(shutil.which("docker")) and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    assert [port for port in SERVED[name]["ports"] if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_runs_read_only_without_capabilities(name: str) -> None:
    service = SERVED[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_starts_again_and_cannot_fill_the_machine(name: str) -> None:
    service = SERVED[name]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert {"mem_limit", "pids_limit"} <= service.keys()


def test_keys_come_from_a_file_that_only_the_service_sees() -> None:
    assert KEYS["services"] == {
        "service": {
            "environment": {"HRFORMER_API_KEYS_FILE": "/run/secrets/api_keys"},
            "secrets": ["api_keys"],
        }
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_reports_its_health(name: str) -> None:
    assert "healthcheck" in SERVED[name] or "HEALTHCHECK" in DOCKERFILE


def test_every_base_image_is_named_by_a_version() -> None:
    images = [service["image"] for service in SERVED.values() if "build" not in service]
    images += re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE)
    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+", image)] == []


def test_the_device_is_reserved_in_the_override_alone() -> None:
    reserved = GPU["services"]["service"]["deploy"]["resources"]["reservations"]["devices"]
    assert (reserved[0]["driver"], "deploy" in COMPOSE["services"]["service"]) == ("nvidia", False)


def test_both_targets_run_as_a_numbered_user_without_rights() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    last_lines = {stage.split()[2]: stage.strip().splitlines()[-1] for stage in stages[-2:]}
    assert last_lines == {"cuda": "USER 10001", "cpu": "USER 10001"}


def test_what_the_image_copies_is_let_through_to_the_build() -> None:
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert [path for paths in copied for path in paths if f"!{path}" not in let_through] == []


def test_dependencies_are_installed_before_code_is_copied() -> None:
    assert DOCKERFILE.index("-r requirements.txt") < DOCKERFILE.index("COPY hrformer hrformer")


def test_prometheus_asks_the_service_where_compose_runs_it() -> None:
    scrape = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scrape}
    port = COMPOSE["services"]["service"]["ports"][0].rpartition(":")[2]
    assert targets["hrformer"] == [f"service:{port}"]


@pytest.mark.parametrize(
    "override", [[], ["docker/compose.gpu.yml"], ["docker/compose.keys.yml"], ["docker/compose.tracing.yml"]]
)
def test_compose_accepts_the_files(override: list[str]) -> None:
    if not has_compose():
        pytest.skip("docker compose is missing")
    chosen = [argument for file in ["docker-compose.yml", *override] for argument in ("--file", file)]
    command = ["docker", "compose", *chosen, "config", "--quiet"]
    environment = {**os.environ, "API_KEYS": "keys.txt", "TRACING": "1"}
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert (answer.returncode, answer.stderr) == (0, "")
