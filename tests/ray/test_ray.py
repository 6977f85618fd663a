"""The service on a real Ray cluster of this machine: two replicas, watched, scaled, killed."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.servers import PEERS, PEERS_PYTHON, QUIET, version_of
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT
from tests.service.pictures import Colour, plain
from tests.service.processes import free_port

pytestmark = pytest.mark.ray
RAY = next(server for server in PEERS if server.package == "ray")
MISSING = "NOT CHECKED: the service on Ray, since Ray is not installed; benchmarks/install says why"
CLIENTS = 16
START_S, CHANGE_S = 120.0, 90.0


@dataclass(frozen=True)
class Asked:
    """A request, and what came back."""

    begun: float
    status: int
    is_right: bool


@dataclass
class Cluster:
    process: Process
    client: httpx.AsyncClient
    asked: list[Asked] = field(default_factory=list)

    async def deploy(self, **what: float) -> None:
        """Returns when as many replicas answer as shall always run."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"cpus": 0.25, **what}).encode() + b"\n")
        await asyncio.wait_for(logged(self.process.stdout, b"ready\n"), START_S)

    async def figures(self, name: str) -> dict[str, float]:
        """A sum for each replica, from the page of the metrics."""
        page = (await self.client.get("/metrics")).text
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name:
                    replica = sample.labels["replica"]
                    found[replica] = found.get(replica, 0.0) + sample.value
        return found

    async def until_ready(self, count: int, without: str = "") -> None:
        """Until so many replicas are ready, this one not among them."""
        async with asyncio.timeout(CHANGE_S):
            while True:
                ready = await self.figures("hrformer_ready")
                if len(ready) == count == sum(ready.values()) and without not in ready:
                    return

    async def until_answered(self, count: int) -> None:
        async with asyncio.timeout(CHANGE_S):
            while len(self.asked) < count:
                await self.client.get("/livez")

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """While clients ask, each again when it is answered; afterwards everything is in `asked`."""
        over = asyncio.Event()
        self.asked.clear()
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._ask_on(random.Random(number), over))
            try:
                yield
            finally:
                over.set()

    async def _ask_on(self, chance: random.Random, over: asyncio.Event) -> None:
        while not over.is_set():
            colour = (chance.randrange(32, 224), chance.randrange(32, 224), chance.randrange(32, 224))
            begun = time.monotonic()
            answer = await self.client.post("/pose?boxes=whole", content=plain(colour))
            is_right = answer.status_code == 200 and is_of(answer, colour)
            self.asked.append(Asked(begun, answer.status_code, is_right))


def is_of(answer: httpx.Response, colour: Colour) -> bool:
    """Whether the stand-in model saw this picture: it answers with the colour."""
    [person] = answer.json()["people"]
    return {(point["x"], point["y"]) for point in person["keypoints"]} == {colour[:2]}


def environment_of(**settings: str) -> dict[str, str]:
    """Of a process that runs the service on Ray."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HRFORMER_")}
    return inherited | QUIET | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)} | settings


def replicas_of(process: Process) -> list[int]:
    """Numbers of the processes of Ray's replicas below this one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(fields[1]), name
    below = {process.pid}
    while found := {number for number, (parent, _) in parents.items() if parent in below} - below:
        below |= found
    return sorted(number for number in below if parents[number][1].startswith(b"ray::ServeReplica"))


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    if version_of(RAY) is None:
        pytest.skip(
            "NOT CHECKED: the service on Ray, since Ray is not installed; benchmarks/install says why"
        )
    port = free_port()
    environment = environment_of(HRFORMER_PORT=str(port), ECHO_BATCH_MS="50")
    command = [str(PEERS_PYTHON), "-m", "tests.ray.cluster"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, env=environment, stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    try:
        limits = httpx.Limits(max_connections=2 * CLIENTS)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=60
        ) as client:
            running = Cluster(process, client)
            await running.deploy(min_replicas=2)
            yield running
        process.stdin.close()  # type: ignore[union-attr]
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def test_both_replicas_answer_and_are_told_apart_in_the_metrics(cluster: Cluster) -> None:
    before = sum((await cluster.figures("hrformer_requests_total")).values())
    async with cluster.under_load():
        await cluster.until_answered(200)
    served = await cluster.figures("hrformer_model_calls_total")
    assert all(one.is_right for one in cluster.asked)
    assert len(served) == 2
    assert min(served.values()) > 0
    assert sum((await cluster.figures("hrformer_requests_total")).values()) >= before + len(cluster.asked)


async def test_the_batcher_of_a_replica_runs_what_waits_together(cluster: Cluster) -> None:
    items = sum((await cluster.figures("hrformer_batch_items_sum")).values())
    batches = sum((await cluster.figures("hrformer_batch_items_count")).values())
    assert items > batches


async def test_an_answer_has_one_request_id(cluster: Cluster) -> None:
    for given in ({}, {"X-Request-ID": "mine"}):
        answer = await cluster.client.post("/pose", content=plain(), headers=given)
        assert answer.headers.get_list("x-request-id") == [answer.json()["request_id"]]


async def test_a_client_that_leaves_is_noticed_in_the_replica(cluster: Cluster) -> None:
    async def ask_and_leave() -> None:
        async with httpx.AsyncClient(base_url=cluster.client.base_url) as leaving:
            with pytest.raises(httpx.ReadTimeout):
                await leaving.post("/pose", content=plain(), timeout=httpx.Timeout(60, read=0.001))

    async with asyncio.timeout(CHANGE_S):
        while not sum((await cluster.figures("hrformer_cancelled_total")).values()):
            await ask_and_leave()


async def test_a_replica_that_goes_answers_everything_first(cluster: Cluster) -> None:
    async with cluster.under_load():
        await cluster.until_answered(100)
        await cluster.deploy(min_replicas=1)
        await cluster.until_ready(1)
        await cluster.until_answered(len(cluster.asked) + 100)
        await cluster.deploy(min_replicas=2)
        await cluster.until_ready(2)
    assert {one.status for one in cluster.asked} == {200}
    assert all(one.is_right for one in cluster.asked)


async def test_a_new_deployment_replaces_every_replica_and_loses_nothing(cluster: Cluster) -> None:
    before = replicas_of(cluster.process)
    async with cluster.under_load():
        await cluster.until_answered(100)
        await cluster.deploy(min_replicas=2, cpus=0.3)
        await cluster.until_ready(2)
    assert set(before) & set(replicas_of(cluster.process)) == set()
    assert all(one.is_right for one in cluster.asked)


async def test_a_replica_that_is_killed_takes_only_what_was_under_way_there(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    async with cluster.under_load():
        await cluster.until_answered(200)
        first, _ = replicas_of(cluster.process)
        killed_at = time.monotonic()
        os.kill(first, signal.SIGKILL)
        await cluster.until_answered(len(cluster.asked) + 400)
        await cluster.until_ready(2)
        assert first not in replicas_of(cluster.process)
    lost = [one for one in cluster.asked if one.status != 200]
    with capsys.disabled():
        print(f"\n  killed: {len(lost)} of {len(cluster.asked)} requests lost, of {CLIENTS} under way")  # noqa: T201
    assert [one for one in lost if one.begun > killed_at] == []
    assert len(lost) < CLIENTS
    assert {one.status for one in lost} <= {500}
    assert all(one.is_right for one in cluster.asked if one.status == 200)


async def test_a_replica_that_loses_its_device_is_replaced(cluster: Cluster) -> None:
    lost = await cluster.client.post("/pose?boxes=whole", content=plain((255, 0, 0)))
    assert lost.json()["type"] == "/problems/device-failed"
    [sick] = [
        replica for replica, is_ready in (await cluster.figures("hrformer_ready")).items() if not is_ready
    ]
    await cluster.until_ready(2, without=sick)


async def test_another_replica_is_started_while_work_waits(cluster: Cluster) -> None:
    await cluster.deploy(min_replicas=1)
    await cluster.until_ready(1)
    await cluster.deploy(min_replicas=1, max_replicas=2, target_ongoing_requests=2)
    async with cluster.under_load():
        await cluster.until_ready(2)
    assert {one.status for one in cluster.asked} == {200}


async def test_sigterm_answers_what_was_taken_and_ends_the_cluster_with_exit_code_0() -> None:
    if version_of(RAY) is None:
        pytest.skip(MISSING)
    environment = environment_of(HRFORMER_PORT=str(port := free_port()), HRFORMER_MODELS="hrformer-tiny-pose")
    process = await asyncio.create_subprocess_exec(
        str(PEERS_PYTHON), "-m", "service.ray_deployment", cwd=REPOSITORY, env=environment, stderr=PIPE
    )
    try:
        await asyncio.wait_for(logged(process.stderr, b'"message":"ready"'), START_S)
        body = ASTRONAUT.read_bytes()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            asking = [asyncio.create_task(client.post("/pose", content=body)) for _ in range(CLIENTS)]
            async with asyncio.timeout(CHANGE_S):
                while (
                    sum((await Cluster(process, client).figures("hrformer_inflight_requests")).values()) < 3
                ):
                    pass
            process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*asking)
        await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0
    assert {answer.status_code for answer in answers} <= {200, 404}  # 404: not taken any more
    assert 200 in {answer.status_code for answer in answers}


async def logged(stream: asyncio.StreamReader | None, text: bytes) -> None:
    """Returns when a process has written this there; Ray may write of other things."""
    assert stream is not None
    async for line in stream:
        if text in line:
            return
    raise AssertionError(f"it ended and never wrote {text!r}")


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (["--min-replicas", "0"], {}, "min_replicas"),
        ([], {"HRFORMER_DEVICE": "cuda:1"}, "say cuda, not cuda:1"),
        ([], {"HRFORMER_ADMIN_ROUTES": "true"}, "deploy again instead"),
        ([], {"HRFORMER_MAX_REQUEST": "1"}, "HRFORMER_MAX_REQUEST is no setting"),
    ],
)
def test_what_cannot_be_is_said_before_a_cluster_is_made(
    flags: list[str], environment: dict[str, str], said: str
) -> None:
    if version_of(RAY) is None:
        pytest.skip(MISSING)
    command = [str(PEERS_PYTHON), "-m", "service.ray_deployment", *flags]
    answer = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment_of(**environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.returncode, said in answer.stderr) == (2, True)


def test_the_file_of_the_page_deploys_the_service() -> None:
    if version_of(RAY) is None:
        pytest.skip(MISSING)
    page = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")
    file = re.search(r"```yaml\n(applications.*?)```", page, re.DOTALL)
    assert file is not None
    code = (
        "import sys, yaml; from ray.serve.schema import ServeDeploySchema;"
        "from service import ray_deployment as r;"
        "[app] = ServeDeploySchema(**yaml.safe_load(sys.stdin)).applications; assert app.name == r.NAME;"
        "print(type(r.build(r.Cluster(**app.args))).__name__)"
    )
    answer = subprocess.run(
        [str(PEERS_PYTHON), "-c", code],
        cwd=REPOSITORY,
        input=file[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.stdout.strip(), answer.returncode) == ("Application", 0), answer.stderr
