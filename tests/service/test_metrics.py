"""`/metrics`: names, labels and numbers."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from service.sizing import memory_limit_bytes
from tests.service.conftest import Running, in_process, on_sockets, until
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import plain
from tests.service.raw_client import Connection, request

# The contract's table: name → labels.
CONTRACT = {
    "hrformer_requests": {"route", "status"},
    "hrformer_request_duration_seconds": {"route"},
    "hrformer_answer_duration_seconds": {"route"},
    "hrformer_stage_duration_seconds": {"model", "stage"},
    "hrformer_batch_items": {"model"},
    "hrformer_batch_padding_ratio": {"model"},
    "hrformer_batch_duration_seconds": {"model"},
    "hrformer_queue_items": {"model"},
    "hrformer_queue_bytes": set(),
    "hrformer_queue_oldest_age_seconds": {"model"},
    "hrformer_inflight_requests": {"route"},
    "hrformer_refused": {"route", "reason"},
    "hrformer_cancelled": {"stage"},
    "hrformer_deadline_exceeded": {"stage"},
    "hrformer_people_per_image": {"model"},
    "hrformer_image_pixels": set(),
    "hrformer_model_info": {"model", "version", "variant", "precision"},
    "hrformer_ready": set(),
    "hrformer_draining": set(),
    "hrformer_memory_limit_bytes": set(),
    "hrformer_device_memory_bytes": {"kind"},
    "hrformer_device_utilisation_ratio": {"kind"},
    "hrformer_device_temperature_celsius": {"kind"},
    "hrformer_device_errors": {"kind"},
    "hrformer_model_calls": {"model", "outcome"},
    "hrformer_expected_wait_seconds": {"model"},
}


async def test_the_page_has_every_instrument_with_its_labels(service: Running) -> None:
    await service.client.post("/pose", content=plain())
    await service.client.post("/pose", content=b"")
    page = await service.client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    assert CONTRACT.keys() <= families.keys()
    for name, labels in CONTRACT.items():
        for sample in families[name].samples:
            assert sample.labels.keys() - {"le"} == labels, name


async def test_everything_has_the_prefix(service: Running) -> None:
    page = await service.client.get("/metrics")
    assert all(family.name.startswith("hrformer_") for family in text_string_to_metric_families(page.text))


async def test_open_metrics_is_answered_on_request(service: Running) -> None:
    page = await service.client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert page.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in open_metrics(page.text)} >= CONTRACT.keys()


async def test_a_request_is_counted_once_in_each_instrument() -> None:
    async with in_process() as running:
        await running.client.post("/pose?boxes=[[0,0,9,9],[1,1,9,9]]", content=plain())
        assert running.metric("requests_total", route="/pose", status="200") == 1
        assert running.metric("request_duration_seconds_count", route="/pose") == 1
        for stage in ("receive", "decode", "wait", "model", "encode"):
            assert running.metric("stage_duration_seconds_count", model="echo-pose", stage=stage) == 1
        assert running.metric("batch_items_sum", model="echo-pose") == 2
        assert running.metric("people_per_image_sum", model="echo-pose") == 2
        assert running.metric("image_pixels_sum") == 40 * 30
        assert running.metric("model_calls_total", model="echo-pose", outcome="ok") == 1


async def test_unknown_routes_share_one_label() -> None:
    async with in_process() as running:
        for path in ("/a", "/b", "/models/x/y", "/problems/none"):
            await running.client.get(path)
        assert running.metric("requests_total", route="other", status="404") == 2
        assert running.metric("requests_total", route="/models/{name}", status="404") == 1
        assert running.metric("requests_total", route="/problems/{slug}", status="404") == 1


async def test_what_waits_is_shown_while_the_model_is_held() -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, max_pose_batch=1) as running:
        requests = [asyncio.create_task(running.client.post("/pose", content=plain())) for _ in range(3)]
        await gate.entered()
        await until(lambda: running.parts.batcher.line.waiting() == 2)
        page = await running.client.get("/metrics")
        samples = {
            sample.name: sample.value
            for family in text_string_to_metric_families(page.text)
            for sample in family.samples
            if sample.labels in ({"model": "echo-pose"}, {"route": "/pose"}, {})
        }
        assert samples["hrformer_inflight_requests"] == 3
        assert samples["hrformer_queue_items"] == 2
        assert samples["hrformer_queue_oldest_age_seconds"] > 0
        crop_bytes = 3 * 8 * 6
        assert samples["hrformer_queue_bytes"] == 3 * (len(plain()) + crop_bytes)
        gate.open()
        await asyncio.gather(*requests)
        assert (running.metric("queue_items", model="echo-pose"), running.metric("queue_bytes")) == (0, 0)


async def test_refusals_are_counted_by_reason() -> None:
    async with in_process() as running:
        running.parts.lifecycle.fail("the device failed")
        await running.client.post("/segment", content=plain())
        assert running.metric("refused_total", route="/segment", reason="device-failed") == 1


async def test_two_services_in_one_process_keep_their_numbers_apart() -> None:
    async with in_process() as one, in_process() as other:
        await one.client.post("/pose", content=plain())
        assert other.metric("requests_total", route="/pose", status="200") == 0


MAY_COME = [
    ("requests_total", {"route": "/pose", "status": "200"}),
    ("requests_total", {"route": "/segment", "status": "499"}),
    ("requests_total", {"route": "/people", "status": "500"}),
    ("requests_total", {"route": "/v2/models/{name}/infer", "status": "503"}),
    ("requests_total", {"route": "other", "status": "431"}),
    ("refused_total", {"route": "/segment", "reason": "rate-limited"}),
    ("answer_duration_seconds_count", {"route": "/people"}),
    ("device_errors_total", {"kind": "fatal"}),
    ("model_calls_total", {"model": "echo-pose", "outcome": "error"}),
    ("reloads_total", {"outcome": "rolled_back"}),
    ("deadline_exceeded_total", {"stage": "wait"}),
]


@pytest.mark.parametrize(("name", "labels"), MAY_COME)
async def test_what_may_be_counted_is_there_before_it_happens(name: str, labels: dict[str, str]) -> None:
    async with in_process() as running:
        assert running.parts.metrics.registry.get_sample_value(f"hrformer_{name}", labels) == 0


async def test_the_time_of_an_answer_leaves_out_the_time_of_its_request() -> None:
    async with on_sockets(header_timeout_s=0.05) as running:
        connection = await Connection.open(running.address)
        data = request(plain())
        connection.send(data[:-1])
        await until(lambda: running.parts.admission.bytes > 0)
        idle = await Connection.open(running.address)
        await asyncio.wait_for(idle.reader.read(), 30)  # until another client has used up its 50 ms
        idle.writer.close()
        assert (await connection.ask(data[-1:])).status == 200
        await until(lambda: running.metric("answer_duration_seconds_count", route="/pose") == 1)
        whole_s = running.metric("request_duration_seconds_sum", route="/pose")
        answer_s = running.metric("answer_duration_seconds_sum", route="/pose")
        assert 0 < answer_s < whole_s - 0.04
        connection.writer.close()


async def test_a_request_that_never_came_whole_has_no_time_of_an_answer() -> None:
    async with in_process() as running:
        assert (await running.client.post("/pose", content=bytes(30_000_000))).status_code == 413
        assert running.metric("request_duration_seconds_count", route="/pose") == 1
        assert running.metric("answer_duration_seconds_count", route="/pose") == 0


async def test_the_memory_that_the_process_may_have_is_shown(service: Running) -> None:
    resident_bytes = service.metric("process_resident_memory_bytes")
    assert resident_bytes < service.metric("memory_limit_bytes") <= memory_limit_bytes()


@pytest.mark.parametrize(("said", "is_less"), [("max\n", False), ("1000000\n", True), (f"{2**62}\n", False)])
def test_the_limit_is_that_of_the_container_or_the_memory_of_the_machine(
    tmp_path: Path, said: str, is_less: bool
) -> None:
    (tmp_path / "memory.max").write_text(said)
    machine = memory_limit_bytes(tmp_path / "missing")
    expected = 1_000_000 if is_less else machine
    assert memory_limit_bytes(tmp_path / "memory.max") == expected
    assert machine > 2**30
