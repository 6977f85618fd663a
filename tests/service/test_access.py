"""API keys."""

import hashlib
from pathlib import Path

import httpx
import pytest

from service.access import ApiKeys
from service.problems import Problem
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


async def test_a_key_that_asks_too_often_is_refused_and_another_is_not(keys: Path) -> None:
    async with in_process(api_keys_file=keys, key_rate=0.001, key_burst=2) as running:

        async def ask(key: str) -> httpx.Response:
            return await running.client.post("/pose", content=plain(), headers={"X-API-Key": key})

        statuses = [(await ask("plain-key")).status_code for _ in range(2)]
        refused = await ask("plain-key")
        assert [*statuses, refused.status_code] == [200, 200, 429]
        assert refused.json()["type"] == "/problems/rate-limited"
        assert 990 <= int(refused.headers["retry-after"]) <= 1000
        assert (await ask("hashed-key")).status_code == 200
        assert running.metric("refused_total", route="/pose", reason="rate-limited") == 1


async def test_guesses_use_up_nobodys_rate(keys: Path) -> None:
    async with in_process(api_keys_file=keys, key_rate=0.001, key_burst=1) as running:
        for key, status in (("guess", 403), ("guess", 403), ("plain-key", 200)):
            answer = await running.client.get("/models", headers={"X-API-Key": key})
            assert answer.status_code == status


def opens(keys: ApiKeys, key: str) -> bool:
    try:
        keys.check({"x-api-key": key})
    except Problem:
        return False
    return True


def test_keys_read_again_are_those_of_the_file(keys: Path) -> None:
    read = ApiKeys(keys)
    keys.write_text("new-key\n")
    assert not opens(read, "new-key")
    read.reread()
    assert (opens(read, "plain-key"), opens(read, "new-key")) == (False, True)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_again_leaves_the_keys_and_is_logged(
    keys: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    read = ApiKeys(keys)
    keys.unlink() if content is None else keys.write_bytes(content)
    read.reread()
    assert opens(read, "plain-key")
    [record] = caplog.records
    assert (record.levelname, record.message.startswith("the API keys stay as they were")) == ("ERROR", True)
