"""Which spans are kept, where they go, and that nobody waits for the collector."""

import asyncio
import signal
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("opentelemetry.sdk.trace", reason="spans need: pip install 'hrformer[tracing]'")

from opentelemetry.trace import get_tracer_provider
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from service.settings import SettingsError
from tests.conftest import REPOSITORY
from tests.service.collector import Collector
from tests.service.conftest import Running, in_process
from tests.service.pictures import plain
from tests.service.processes import free_port, log_read, server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED, UNSAMPLED = ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-0{flag}"} for flag in (1, 0))
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.mark.parametrize(
    ("sampler", "given", "is_kept"),
    [
        (None, {}, True),
        (None, SAMPLED, True),
        (None, UNSAMPLED, False),
        ("parentbased_always_off", {}, False),
        ("parentbased_always_off", SAMPLED, True),
        ("always_on", UNSAMPLED, True),
    ],
)
async def test_whether_a_request_is_kept_is_said_by_its_sender_or_the_sampler(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    sampler: str | None,
    given: dict[str, str],
    is_kept: bool,
) -> None:
    if sampler:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with in_process(tracing=True) as running:
        answer = await running.client.post("/pose", content=plain(), headers=given)
    expected = {"receive", "decode", "wait", "model", "encode", "POST /pose", "batch echo-pose"}
    assert {span.name for span in collector.spans} == (expected if is_kept else set())
    assert int(answer.headers["traceparent"][-2:], 16) & 1 == is_kept


async def test_spans_have_the_name_that_the_environment_gives(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "poses")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    async with in_process(tracing=True) as running:
        await running.client.get("/version")
    assert collector.paths == {"/v1/traces"}
    [resource] = collector.resources
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("poses", "test")


async def test_a_disabled_sdk_leaves_everything_as_without_tracing(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with in_process(tracing=True) as running:
        answer = await running.client.post("/pose", content=plain())
    assert (answer.status_code, "traceparent" in answer.headers, collector.spans) == (200, False, [])


async def exemplars(running: Running, **headers: str) -> dict[tuple[str, str], str]:
    """Trace by metric and route or stage, as the page has them after one answer."""
    await running.client.post("/pose", content=plain(), headers=headers)
    page = (await running.client.get("/metrics", headers=OPEN_METRICS)).text
    return {
        (family.name, sample.labels.get("route") or sample.labels["stage"]): sample.exemplar.labels[
            "trace_id"
        ]
        for family in open_metrics(page)
        for sample in family.samples
        if sample.exemplar
    }


async def test_histograms_name_the_trace_of_a_request(collector: Collector) -> None:
    async with in_process(tracing=True) as running:
        found = await exemplars(running, **SAMPLED)
        plain_page = await running.client.get("/metrics")
    stages = {
        ("hrformer_stage_duration_seconds", stage)
        for stage in ("receive", "decode", "wait", "model", "encode")
    }
    assert found.keys() >= stages | {("hrformer_request_duration_seconds", "/pose")}
    assert set(found.values()) == {TRACE}
    assert TRACE not in plain_page.text


async def test_histograms_name_no_trace_that_is_not_kept(collector: Collector) -> None:
    async with in_process(tracing=True) as running:
        assert await exemplars(running, **UNSAMPLED) == {}
    async with in_process() as untraced:
        assert await exemplars(untraced, **SAMPLED) == {}


async def test_the_spans_of_the_last_requests_are_sent_before_the_process_ends(collector: Collector) -> None:
    async with server(HRFORMER_TRACING="true", HRFORMER_DRAIN_GRACE_S="0") as running:
        await running.client.post("/pose", content=plain())
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 0
    assert len(collector.named("POST /pose")) == len(collector.named("batch echo-pose")) == 1


async def answers_and_ending_s(**environment: str) -> tuple[set[int], float]:
    """Statuses of a hundred requests to a traced service, and how long its end took."""
    settings = {"HRFORMER_TRACING": "true", "HRFORMER_DRAIN_GRACE_S": "0", **environment}
    async with server(**settings) as running, log_read(running):
        asked = [running.client.post("/pose", content=plain()) for _ in range(100)]
        statuses = {answer.status_code for answer in await asyncio.gather(*asked)}
        running.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert await running.ended() == 0
        return statuses, time.monotonic() - begun


async def test_a_collector_that_is_not_there_holds_up_neither_requests_nor_the_end() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
    statuses, ending_s = await answers_and_ending_s(OTEL_EXPORTER_OTLP_ENDPOINT=nobody, **small)
    assert (statuses, ending_s < 10) == ({200}, True)


async def test_nor_does_one_that_takes_connections_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        statuses, ending_s = await answers_and_ending_s(OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert (statuses, ending_s < 10) == ({200}, True)


async def test_a_queue_that_cannot_be_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(SettingsError, match=r"tracing \(HRFORMER_TRACING\): max_queue_size must be"):
        async with in_process(tracing=True):
            pass


async def test_tracing_without_its_packages_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "service.tracing", raising=False)
    with pytest.raises(
        SettingsError, match=r"needs the extra of that name: pip install 'hrformer\[tracing\]'"
    ):
        async with in_process(tracing=True):
            pass


async def test_the_traces_of_a_program_around_the_service_are_left_alone(collector: Collector) -> None:
    before = get_tracer_provider()
    async with in_process(tracing=True):
        assert get_tracer_provider() is before


def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    program = "import sys, service.app; service.app.create_app(); print('opentelemetry.sdk' in sys.modules)"
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
