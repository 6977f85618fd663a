"""The service behind a front that starts and stops it by the ASGI lifespan, as Ray does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message

from service.app import create_app
from service.models import Model
from service.parts import Parts
from service.replica import Replica, Together
from service.settings import Settings
from tests.deploy.prometheus import promtool, tool
from tests.service.conftest import Running, echo_models, in_process, until
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import plain


@dataclass
class Front:
    """Starts and stops a replica, and hands it requests."""

    replica: Replica
    parts: Parts
    to: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    back: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    async def tell(self, what: str) -> Message:
        """Its answer to `startup` or `shutdown`."""
        self.to.put_nowait({"type": f"lifespan.{what}"})
        return await asyncio.wait_for(self.back.get(), 30)

    async def live(self) -> None:
        await self.replica({"type": "lifespan", "asgi": {}}, self.to.get, self.back.put)


@asynccontextmanager
async def front(models: Mapping[str, Model] | None = None) -> AsyncIterator[Front]:
    app = create_app(Settings(), models or echo_models())
    standing = Front(Replica(app), app.state.parts)
    life = asyncio.create_task(standing.live())
    yield standing
    if not life.done():
        standing.to.put_nowait({"type": "lifespan.shutdown"})
    await asyncio.wait_for(life, 30)


def client_of(standing: Front) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(standing.replica), base_url="http://front")


async def test_the_start_ends_when_every_model_is_warm() -> None:
    gate = Gate()
    async with front({"echo-pose": EchoPose(before_warm=gate)}) as standing:
        starting = asyncio.create_task(standing.tell("startup"))
        await gate.entered()
        assert not starting.done()
        gate.open()
        assert await starting == {"type": "lifespan.startup.complete"}
        assert standing.parts.lifecycle.is_ready


async def test_the_start_fails_with_the_reason() -> None:
    def fail(batch: object) -> None:
        raise ValueError("no such weights")

    async with front({"echo-pose": EchoPose(before_warm=fail)}) as standing:
        answer = await standing.tell("startup")
        assert answer["type"] == "lifespan.startup.failed"
        assert "cannot be loaded" in answer["message"]


async def test_the_stop_waits_for_what_was_taken() -> None:
    gate = Gate()
    async with front({"echo-pose": EchoPose(gate)}) as standing, client_of(standing) as client:
        await standing.tell("startup")
        asking = asyncio.create_task(client.post("/pose", content=plain()))
        await gate.entered()
        stopping = asyncio.create_task(standing.tell("shutdown"))
        await until(lambda: standing.parts.lifecycle.is_closed)
        late = await client.post("/pose", content=plain())
        assert (late.json()["type"], stopping.done()) == ("/problems/draining", False)
        gate.open()
        assert ((await asking).status_code, (await stopping)["type"]) == (200, "lifespan.shutdown.complete")


async def test_the_request_id_that_the_front_adds_itself_is_left_to_it() -> None:
    async with front() as standing, client_of(standing) as client:
        await standing.tell("startup")
        given = await client.post("/pose", content=plain(), headers={"X-Request-ID": "the-front-s"})
        made = await client.post("/pose", content=plain())
    assert ("x-request-id" in given.headers, given.json()["request_id"]) == (False, "the-front-s")
    assert made.headers["x-request-id"] == made.json()["request_id"]


async def worked(running: Running, count: int) -> Running:
    for _ in range(count):
        await running.client.post("/pose", content=plain())
    running.parts.refresh_gauges()
    return running


async def test_metrics_of_all_replicas_are_one_page_with_a_label_for_each() -> None:
    async with in_process() as first, in_process() as second:
        replicas = {"a": await worked(first, 2), "b": await worked(second, 3)}
        pages = {name: running.parts.metrics.registry.collect() for name, running in replicas.items()}
        text, content_type = Together(pages).page("")
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    samples = [sample for sample in families["hrformer_requests"].samples if sample.value]
    counted = {sample.labels["replica"]: sample.value for sample in samples}
    assert (counted, content_type.partition(";")[0]) == ({"a": 2.0, "b": 3.0}, "text/plain")
    assert {sample.labels["replica"] for family in families.values() for sample in family.samples} == {
        "a",
        "b",
    }


async def test_promtool_finds_no_fault_with_the_page_of_two_replicas() -> None:
    tool("promtool")
    async with in_process() as first, in_process() as second:
        replicas = {"a": await worked(first, 1), "b": await worked(second, 1)}
        pages = {name: running.parts.metrics.registry.collect() for name, running in replicas.items()}
        text, _ = Together(pages).page("")
    answer = promtool("check", "metrics", given=text.decode())
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
