"""API keys."""

import hashlib
from pathlib import Path

import pytest

from service.settings import SettingsError
from tests.service.conftest import in_process
from tests.service.pictures import plain

KEYS = f"""# two keys
plain-key

sha256:{hashlib.sha256(b"hashed-key").hexdigest()}
"""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys").write_text(KEYS)
    return tmp_path / "keys"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer plain-key"},
        {"Authorization": "bearer hashed-key"},
        {"X-API-Key": "hashed-key"},
    ],
)
async def test_a_key_opens_the_routes(keys: Path, headers: dict[str, str]) -> None:
    async with in_process(api_keys_file=keys) as running:
        assert (await running.client.post("/pose", content=plain(), headers=headers)).status_code == 200
        assert (await running.client.get("/models", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic plain-key"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer guess"}, 403),
        ({"X-API-Key": hashlib.sha256(b"hashed-key").hexdigest()}, 403),
        ({"X-API-Key": "# two keys"}, 403),
    ],
)
async def test_without_a_right_key_they_stay_shut(keys: Path, headers: dict[str, str], status: int) -> None:
    async with in_process(api_keys_file=keys) as running:
        for path in ("/pose", "/segment", "/people"):
            assert (await running.client.post(path, content=plain(), headers=headers)).status_code == status
        assert (await running.client.get("/models/echo-pose", headers=headers)).status_code == status


async def test_probes_and_documents_need_no_key(keys: Path) -> None:
    async with in_process(api_keys_file=keys) as running:
        for path in (
            "/livez",
            "/readyz",
            "/metrics",
            "/version",
            "/docs",
            "/openapi.json",
            "/problems/no-key",
        ):
            assert (await running.client.get(path)).status_code == 200


@pytest.mark.parametrize("content", [b"", b"# only words\n", b"\xff\xfe"])
async def test_a_file_without_keys_is_an_error_at_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingsError, match="api_keys_file"):
        async with in_process(api_keys_file=tmp_path / "keys"):
            pass
