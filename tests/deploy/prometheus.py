"""promtool and Prometheus, where the machine has them."""

import asyncio
import math
import os
import re
import shutil
import subprocess
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.service.processes import connected, free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker" / "prometheus"
INTERVAL = "500ms"


def tool(name: str) -> str:
    """The path of `promtool` or `prometheus`."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        pytest.skip(f"{name} is missing: .ci/prometheus .venv has it from Debian's package")
    return path


def promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The finished command, run beside the rules."""
    return subprocess.run(
        [tool("promtool"), *arguments], cwd=FOLDER, input=given, capture_output=True, text=True, timeout=120
    )


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    client: httpx.AsyncClient

    async def ask(self, promql: str) -> list[dict[str, Any]]:
        """What Grafana would get, in an interval that is as short as the scrapes allow."""
        query = promql.replace("$__rate_interval", "10s")
        answer = (await self.client.get("/api/v1/query", params={"query": query})).json()
        assert answer["status"] == "success", (promql, answer)
        return list(answer["data"]["result"])

    async def has_data(self, promql: str) -> bool:
        """Whether there is a number among the answers."""
        return any(not math.isnan(float(sample["value"][1])) for sample in await self.ask(promql))


def quick_copy(folder: Path, port: int) -> Path:
    """Our configuration and rules, with everything done twice a second and the service on this port."""
    for name in ("recording.yml", "alerts.yml"):
        (folder / name).write_text(
            re.sub(r"interval: \w+", f"interval: {INTERVAL}", (FOLDER / name).read_text())
        )
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), INTERVAL)
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def watching(port: int, folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that watches the service on this port; its files are in the folder."""
    own_port = free_port()
    process = await asyncio.create_subprocess_exec(
        tool("prometheus"),
        f"--config.file={quick_copy(folder, port)}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--enable-feature=exemplar-storage",
        f"--web.listen-address=127.0.0.1:{own_port}",
        stdout=DEVNULL,
        stderr=DEVNULL,
        env={**os.environ, "GOMAXPROCS": "1"},
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own_port}", timeout=30) as client:
            await connected(client)
            async with asyncio.timeout(30):
                while (await client.get("/-/ready")).status_code != 200:
                    pass  # it reads its files
            yield Prometheus(client)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
