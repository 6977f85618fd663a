"""The dashboard is made from its description, and every query of it returns data of the real service."""

import asyncio
import json
import re
import runpy
import time
from pathlib import Path
from typing import Any

import yaml

from service.metrics import Metrics
from tests.deploy.prometheus import Prometheus, tool, watching
from tests.service.pictures import plain
from tests.service.processes import Server, log_read, server

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "docker" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "service.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
NEEDS_A_GPU = re.compile("hrformer_device_(memory|utilisation|temperature)")
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
BLACK = plain((0, 0, 0))


def test_the_file_is_what_its_description_makes() -> None:
    made = runpy.run_path(str(GRAFANA / "dashboard.py"))["text"]()
    assert made == (GRAFANA / "dashboards" / "service.json").read_text()


def test_every_panel_asks_the_provisioned_data_source() -> None:
    path = GRAFANA / "provisioning" / "datasources" / "prometheus.yml"
    source = yaml.safe_load(path.read_text())["datasources"][0]
    asked = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert asked == {source["uid"]}


def test_every_panel_asks_for_metrics_that_the_service_has() -> None:
    families = Metrics().registry.collect()
    offered = {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}
    asked = {name for query in QUERIES for name in re.findall(r"(?<!:)\bhrformer_\w+", query)}
    assert asked - offered == set()


def test_every_metric_of_the_service_is_on_a_panel() -> None:
    names = {family.name for family in Metrics().registry.collect() if "process" not in family.name}
    assert [name for name in names if not any(name in query for query in QUERIES)] == []


def test_panels_do_not_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert (len(cells), max(x for x, _ in cells)) == (len(set(cells)), 23)


def test_every_panel_has_a_title_of_its_own_and_says_what_it_shows() -> None:
    titles = [panel["title"] for panel in PANELS]
    assert len(titles) == len(set(titles))
    assert [panel["title"] for panel in PANELS if not panel["description"]] == []


async def some_of_everything(running: Server) -> None:
    """Answers, an error, a refusal while the model is held, and an answer after it."""
    for path, body in (("/pose", plain()), ("/segment", plain()), ("/pose", b"no picture")):
        await running.client.post(path, content=body)
    held = asyncio.create_task(running.client.post("/pose", content=BLACK))
    await running.held()
    assert (await running.client.post("/pose", content=plain())).status_code == 429
    running.let_go()
    await held


async def until_all_have_data(prometheus: Prometheus, running: Server) -> list[str]:
    """Lets the service work for some scrapes; returns the queries without data when the time is over."""
    end = time.monotonic() + 30
    missing = [query for query in QUERIES if not NEEDS_A_GPU.search(query)]
    while missing and time.monotonic() < end:
        await some_of_everything(running)
        missing = [query for query in missing if not await prometheus.has_data(query)]
    return missing


async def test_every_query_returns_data_of_a_service_that_works(tmp_path: Path) -> None:
    tool("prometheus")
    async with (
        server(HRFORMER_MAX_REQUESTS="1") as running,
        log_read(running),
        watching(running.address[1], tmp_path) as prometheus,
    ):
        await asyncio.gather(*(prometheus.ask(query) for query in QUERIES if NEEDS_A_GPU.search(query)))
        assert await until_all_have_data(prometheus, running) == []
