"""Probes, version, models."""

import asyncio
import threading

import hrformer
from service.lifecycle import State
from tests.service.conftest import Running, in_process
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import plain


async def test_a_ready_service_is_live_and_ready(service: Running) -> None:
    live, ready = await service.client.get("/livez"), await service.client.get("/readyz")
    assert (live.status_code, live.json()["status"]) == (200, "live")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


async def test_a_starting_service_is_live_and_not_ready() -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(before_warm=gate)}, until_started=False) as running:
        await gate.entered()
        live, ready = await running.client.get("/livez"), await running.client.get("/readyz")
        assert (live.status_code, ready.status_code, ready.json()["status"]) == (200, 503, "starting")
        assert int(ready.headers["retry-after"]) >= 1
        gate.open()
        await asyncio.wait_for(running.parts.lifecycle.started.wait(), 30)
        assert (await running.client.get("/readyz")).status_code == 200


async def test_a_draining_service_is_live_and_not_ready_and_still_takes_work() -> None:
    async with in_process() as running:
        draining = asyncio.create_task(running.parts.lifecycle.drain(grace_s=3600))
        await asyncio.sleep(0)
        ready = await running.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert (await running.client.get("/livez")).status_code == 200
        answer = await running.client.post("/pose", content=plain())
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert running.metric("draining") == 1
        draining.cancel()


async def test_a_model_that_cannot_be_loaded_stops_the_service() -> None:
    def fail(batch: object) -> None:
        raise ValueError("no such weights")

    async with in_process({"echo-pose": EchoPose(before_warm=fail)}, until_started=False) as running:
        await asyncio.wait_for(running.parts.lifecycle.stop.wait(), 30)
        ready = await running.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "failed")


async def test_a_hung_model_call_makes_the_service_not_live() -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, hang_after_s=0.05, max_pose_batch=1) as running:
        first = asyncio.create_task(running.client.post("/pose", content=plain()))
        await gate.entered()
        for answer in (await running.client.post("/pose", content=plain()), await first):
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/device-failed")
        live = await running.client.get("/livez")
        assert (live.status_code, running.metric("device_errors_total", kind="hang")) == (503, 1)
        await asyncio.wait_for(running.parts.lifecycle.stop.wait(), 30)  # so that the process ends
        gate.open()


async def test_a_fatal_device_error_makes_the_service_not_live_and_answers_what_waits() -> None:
    gate = Gate()

    def fail(batch: object) -> None:
        gate(batch)  # type: ignore[arg-type]
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    async with in_process({"echo-pose": EchoPose(fail)}, max_pose_batch=1) as running:
        requests = [asyncio.create_task(running.client.post("/pose", content=plain())) for _ in range(3)]
        await gate.entered()
        gate.open()
        answers = [await request for request in requests]
        assert {answer.json()["type"] for answer in answers} == {"/problems/device-failed"}
        assert (await running.client.get("/livez")).status_code == 503
        assert (await running.client.get("/readyz")).json()["status"] == State.FAILED
        assert running.metric("device_errors_total", kind="fatal") == 1
        await asyncio.wait_for(running.parts.lifecycle.stop.wait(), 30)  # so that the process ends


async def test_every_call_of_a_model_is_made_on_the_model_thread(service: Running) -> None:
    await service.client.post("/pose", content=plain())
    assert service.pose.threads == {"model"}
    assert threading.current_thread().name not in service.pose.threads


async def test_the_version_is_told(service: Running) -> None:
    assert (await service.client.get("/version")).json()["version"] == hrformer.__version__


async def test_the_models_are_described(service: Running) -> None:
    models = {model["name"]: model for model in (await service.client.get("/models")).json()["models"]}
    pose, parsing = models["echo-pose"], models["echo-parsing"]
    assert pose == (await service.client.get("/models/echo-pose")).json()
    assert (pose["task"], pose["is_default"], pose["variant"], pose["precision"]) == (
        "pose",
        True,
        "tiny",
        "float32",
    )
    assert pose["sha256"].startswith(pose["version"])
    assert pose["input_sizes"] == [{"width": 6, "height": 8}]
    assert (len(pose["joints"]), len(pose["skeleton"]), pose["metrics"]) == (17, 19, {"AP": 0.5})
    assert parsing["classes"][1] == {"index": 1, "name": "skin", "colour": [255, 178, 128]}


async def test_the_version_of_a_model_is_the_same_everywhere(service: Running) -> None:
    answer = await service.client.post("/segment", content=plain())
    described = (await service.client.get(f"/models/{answer.headers['x-model']}")).json()
    assert answer.headers["x-model-version"] == described["version"]


async def test_an_unknown_model_has_no_page(service: Running) -> None:
    answer = await service.client.get("/models/echo-poze")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-model")


async def test_the_first_model_of_a_task_is_its_default() -> None:
    async with in_process({name: EchoPose(name=name) for name in ("first", "second")}) as running:
        assert (await running.client.post("/pose", content=plain())).json()["model"] == "first"
        second = await running.client.post("/pose?model=second", content=plain())
        assert second.json()["model"] == "second"


async def test_a_task_without_a_model_is_an_unknown_model() -> None:
    async with in_process({"echo-pose": EchoPose()}) as running:
        answer = await running.client.post("/segment", content=plain())
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-model")
