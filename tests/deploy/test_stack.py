"""The whole of compose, built and brought up with a real engine: `make test-docker`."""

import hashlib
import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from hrformer import __version__

ROOT = Path(__file__).parents[2]
PANELS = json.loads((ROOT / "docker/grafana/dashboards/service.json").read_text())["panels"]
QUERIES = sorted({target["expr"] for panel in PANELS for target in panel.get("targets", [])})

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@dataclass(frozen=True)
class Stack:
    """A running set of containers and where its ports are."""

    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        return self.run("docker", "compose", "--project-name", "hrformer-test", *arguments)

    def run(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        answer = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=1200, env=environment
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def url(self, port_variable: str, path: str) -> str:
        return f"http://127.0.0.1:{self.environment[port_variable]}{path}"

    def ask_prometheus(self, query: str) -> list[dict[str, Any]]:
        url = self.url("PROMETHEUS_PORT", "/api/v1/query")
        answer = httpx.get(url, params={"query": query.replace("$__rate_interval", "1m")}).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def fires(self, alert: str) -> bool:
        return bool(self.ask_prometheus(f'ALERTS{{alertname="{alert}",alertstate="firing"}}'))


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def becomes_true(condition: Callable[[], Any], within_s: float) -> bool:
    """Whether the condition holds before the time is over, asked twice a second."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.5)
    return True


def photograph() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((320, 240)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All three containers, healthy; taken down with their data afterwards."""
    if subprocess.run(["sh", "-c", "docker info && docker compose version"], capture_output=True).returncode:
        pytest.skip("no container engine: `docker info` or `docker compose version` fails")
    ports = {name: free_port() for name in ("HRFORMER_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")}
    running = Stack(ports)
    try:
        running.compose("up", "--build", "--detach", "--wait")
        yield running
    finally:
        running.compose("down", "--volumes")


def test_a_photograph_is_answered(stack: Stack) -> None:
    answer = httpx.post(stack.url("HRFORMER_PORT", "/pose?boxes=whole"), content=photograph(), timeout=60)
    assert (answer.status_code, len(answer.json()["people"][0]["keypoints"])) == (200, 17)


def test_its_latency_is_seen_by_prometheus(stack: Stack) -> None:
    httpx.post(stack.url("HRFORMER_PORT", "/segment"), content=photograph(), timeout=60)
    query = 'hrformer_request_duration_seconds_count{route="/segment"} > 0'
    assert becomes_true(lambda: stack.ask_prometheus(query), within_s=30)


def test_prometheus_understands_every_query_of_the_dashboard(stack: Stack) -> None:
    for query in QUERIES:
        assert isinstance(stack.ask_prometheus(query), list)


def test_prometheus_evaluates_every_rule(stack: Stack) -> None:
    def health() -> set[str]:
        groups = httpx.get(stack.url("PROMETHEUS_PORT", "/api/v1/rules")).json()["data"]["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    assert becomes_true(lambda: health() == {"ok"}, within_s=150), health()


def test_grafana_shows_the_dashboard(stack: Stack) -> None:
    answer = httpx.get(stack.url("GRAFANA_PORT", "/api/dashboards/uid/hrformer-service"))
    assert answer.json()["dashboard"]["title"] == "HRFormer service"


def test_the_service_runs_without_rights(stack: Stack) -> None:
    script = "id -u; touch /app/x 2>/dev/null || echo read-only; grep CapEff /proc/1/status"
    shown = stack.compose("exec", "service", "sh", "-c", script).split()
    assert shown == ["10001", "read-only", "CapEff:", "0000000000000000"]


def test_the_image_is_small_and_says_what_it_is(stack: Stack) -> None:
    image = json.loads(stack.run("docker", "image", "inspect", "hrformer:cpu"))[0]
    assert image["Size"] <= 1.2e9
    assert image["Config"]["Labels"]["org.opencontainers.image.version"] == __version__


def test_one_command_lists_what_is_in_the_image(stack: Stack, tmp_path: Path) -> None:
    stack.run("make", "sbom", f"SBOM={tmp_path / 'sbom.json'}")
    listed = {one["name"] for one in json.loads((tmp_path / "sbom.json").read_text())["components"]}
    assert {"torch", "libc6", "hrformer-tiny-pose"} <= listed


def test_an_alert_fires_when_the_service_is_killed_and_ends_when_it_is_back(stack: Stack) -> None:
    stack.compose("kill", "service")
    assert becomes_true(lambda: stack.fires("HRFormerDown"), within_s=90)
    stack.compose("up", "--detach", "--wait", "service")
    assert becomes_true(lambda: not stack.fires("HRFormerDown"), within_s=30)


def test_a_stop_is_clean(stack: Stack) -> None:
    stack.compose("stop", "service")
    shown = stack.compose("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}", "service")
    assert shown.split() == ["service", "0"]


def test_a_file_of_keys_closes_the_service_to_others(stack: Stack, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"sha256:{hashlib.sha256(b'open sesame').hexdigest()}\n")
    files = {"COMPOSE_FILE": "docker-compose.yml:docker/compose.keys.yml", "API_KEYS": str(keys)}
    Stack({**stack.environment, **files}).compose("up", "--detach", "--wait", "service")
    url, photo = stack.url("HRFORMER_PORT", "/pose"), photograph()
    with_key = {"Authorization": "Bearer open sesame"}
    assert httpx.post(url, content=photo, timeout=60).status_code == 401
    assert httpx.post(url, content=photo, timeout=60, headers=with_key).status_code == 200
