"""The programs that stand beside the service in its image: the health check and the bill of materials."""

import asyncio
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema
import pytest
from referencing import Registry, Resource

from hrformer import __version__
from tests.service.certificates import made
from tests.service.conftest import on_sockets
from tests.service.processes import free_port, server

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"


def healthcheck(port: int, **variables: str) -> int:
    """The exit code of the command that the image runs."""
    found = re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    _, *arguments = json.loads(found[1])
    environment = {**os.environ, "HRFORMER_PORT": str(port), **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT / "docker", env=environment, stderr=subprocess.DEVNULL).returncode


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    answer = subprocess.run([sys.executable, "docker/sbom.py"], cwd=ROOT, capture_output=True, check=True)
    return dict(json.loads(answer.stdout))


async def test_a_service_that_takes_work_is_healthy() -> None:
    async with server() as running:
        assert healthcheck(running.address[1]) == 0


async def test_one_that_speaks_tls_is_too(tmp_path: Path) -> None:
    files = made(tmp_path / "tls")
    async with on_sockets(**files.settings) as running:
        asked = asyncio.to_thread(healthcheck, running.address[1], HRFORMER_TLS_CERTIFICATE="set")
        assert await asked == 0


async def test_a_service_that_drains_is_not() -> None:
    async with server(HRFORMER_DRAIN_GRACE_S="60") as running:
        running.process.terminate()
        while (await running.client.get("/readyz")).status_code == 200:
            pass
        assert healthcheck(running.address[1]) != 0


def test_nor_is_one_that_is_not_there() -> None:
    assert healthcheck(free_port()) != 0


def test_the_label_of_the_version_is_the_version() -> None:
    assert re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE) == [__version__]


def test_the_bill_of_materials_keeps_to_its_schema(bill: dict[str, Any]) -> None:
    files = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
    names = ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs")
    schemas = [files[f"{name}.SNAPSHOT.schema.json"] for name in names]
    registry = Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in schemas])
    jsonschema.Draft7Validator(schemas[0], registry=registry).validate(bill)


def test_it_lists_every_installed_package(bill: dict[str, Any]) -> None:
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    for name in ("torch", "pillow", "uvicorn"):
        assert (name, importlib.metadata.version(name)) in listed


def test_it_lists_every_model_with_the_hash_of_its_weights(bill: dict[str, Any]) -> None:
    models = tomllib.loads((ROOT / "weights" / "manifest.toml").read_text())["models"]
    listed = {one["name"]: one["hashes"][0]["content"] for one in bill["components"] if "hashes" in one}
    assert listed == {name: model["sha256"] for name, model in models.items()}
