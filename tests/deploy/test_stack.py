"""The whole of compose, built and brought up with a real engine: `make test-docker`."""

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

ROOT = Path(__file__).parents[2]
PANELS = json.loads((ROOT / "docker/grafana/dashboards/service.json").read_text())["panels"]
QUERIES = sorted({target["expr"] for panel in PANELS for target in panel.get("targets", [])})

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@dataclass(frozen=True)
class Stack:
    """A running set of containers and where its ports are."""

    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", "hrformer-test", *arguments]
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
    answer = httpx.post(stack.url("HRFORMER_PORT", "/pose"), content=photograph(), timeout=60)
    assert (answer.status_code, len(answer.json()["people"][0]["keypoints"])) == (200, 17)


def test_its_latency_is_seen_by_prometheus(stack: Stack) -> None:
    httpx.post(stack.url("HRFORMER_PORT", "/segment"), content=photograph(), timeout=60)
    query = 'hrformer_request_duration_seconds_count{route="/segment"} > 0'
    assert becomes_true(lambda: stack.ask_prometheus(query), within_s=30)


@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_understands_every_query_of_the_dashboard(stack: Stack, query: str) -> None:
    assert isinstance(stack.ask_prometheus(query), list)


def test_grafana_shows_the_dashboard(stack: Stack) -> None:
    answer = httpx.get(stack.url("GRAFANA_PORT", "/api/dashboards/uid/hrformer-service"))
    assert answer.json()["dashboard"]["title"] == "HRFormer service"


def test_the_service_runs_without_rights(stack: Stack) -> None:
    script = "id -u; touch /app/x 2>/dev/null || echo read-only; grep CapEff /proc/1/status"
    shown = stack.compose("exec", "service", "sh", "-c", script).split()
    assert shown == ["10001", "read-only", "CapEff:", "0000000000000000"]


def test_a_stop_is_clean(stack: Stack) -> None:
    stack.compose("stop", "service")
    shown = stack.compose("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}", "service")
    assert shown.split() == ["service", "0"]
