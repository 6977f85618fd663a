"""`/metrics`: names, labels and numbers."""

import asyncio

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.service.conftest import Running, in_process, until
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import plain

# The contract's table: name → labels.
CONTRACT = {
    "hrformer_requests": {"route", "status"},
    "hrformer_request_duration_seconds": {"route"},
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
    "hrformer_device_memory_bytes": {"kind"},
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
