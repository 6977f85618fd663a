"""From a point on a latency panel to the trace of a request."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("opentelemetry.sdk.trace", reason="spans need: pip install 'hrformer[tracing]'")

from tests.deploy.prometheus import Prometheus, watching
from tests.service.collector import collecting
from tests.service.pictures import plain
from tests.service.processes import log_read, server

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "docker" / "grafana"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
TRACING = yaml.safe_load((ROOT / "docker" / "compose.tracing.yml").read_text())


def queries_with_exemplars() -> list[str]:
    """Of the dashboard."""
    panels = json.loads((GRAFANA / "dashboards" / "service.json").read_text())["panels"]
    targets = [target for panel in panels for target in panel.get("targets", [])]
    return [target["expr"] for target in targets if target.get("exemplar")]


async def traces_found(prometheus: Prometheus, promql: str) -> set[str]:
    """The traces that Prometheus knows of, asked for until it has read the page."""
    query = {"query": promql.replace("$__rate_interval", "10s"), "start": time.time() - 60}
    found: list[dict[str, Any]] = []
    end = time.monotonic() + 30
    while not found and time.monotonic() < end:
        query["end"] = time.time() + 1
        answer = await prometheus.client.get("/api/v1/query_exemplars", params=query)
        found = answer.json()["data"]
    return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}


async def test_prometheus_knows_traces_that_the_collector_has(tmp_path: Path) -> None:
    with collecting() as collector:
        async with (
            server(HRFORMER_TRACING="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as running,
            log_read(running),
            watching(running.address[1], tmp_path) as prometheus,
        ):
            await running.client.post("/pose", content=plain())
            found = [await traces_found(prometheus, promql) for promql in queries_with_exemplars()]
            running.process.terminate()
            assert await running.ended() == 0
    assert [bool(traces) for traces in found] == [True, True]
    assert set().union(*found) <= {span.trace_id.hex() for span in collector.named("POST /pose")}


def test_prometheus_keeps_exemplars_in_compose() -> None:
    assert "--enable-feature=exemplar-storage" in COMPOSE["services"]["prometheus"]["command"]


def test_grafana_links_a_trace_to_where_compose_shows_traces() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    [destination] = source["datasources"][0]["jsonData"]["exemplarTraceIdDestinations"]
    assert (destination["name"], destination["url"]) == (
        "trace_id",
        "http://localhost:16686/trace/$${__value.raw}",  # the doubled one is Grafana's escape
    )
    assert TRACING["services"]["jaeger"]["ports"] == ["127.0.0.1:16686:16686"]


def test_the_service_sends_its_spans_to_the_collector_of_compose() -> None:
    environment = TRACING["services"]["service"]["environment"]
    assert environment["HRFORMER_TRACING"] == "true"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4318"
