"""Every row of the contract's table of errors, met over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from torch import Tensor

from service.device import Kind
from service.problem_kinds import KINDS
from tests.service.conftest import Running, in_process
from tests.service.echo_models import EchoPose, Gate
from tests.service.pictures import huge, plain

PICTURE = plain()
Scenario = Callable[[Path], Awaitable[httpx.Response]]


def asking(
    path: str,
    content: bytes = PICTURE,
    method: str = "POST",
    settings: dict[str, object] | None = None,
    **headers: str,
) -> Scenario:
    """One request to a service of its own."""

    async def ask(_: Path) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with in_process(**(settings or {})) as running:
            return await running.client.request(method, path, content=content, headers=names)

    return ask


def with_keys(**headers: str) -> Scenario:
    async def ask(directory: Path) -> httpx.Response:
        (directory / "keys").write_text("secret\n")
        return await asking("/pose", settings={"api_keys_file": directory / "keys"}, **headers)(directory)

    return ask


async def behind_a_held_model(
    send: Callable[[Running], Awaitable[httpx.Response]], **settings: object
) -> httpx.Response:
    """What a request gets while another one holds the model."""
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, **settings) as running:
        first = asyncio.create_task(running.client.post("/pose", content=PICTURE))
        await gate.entered()
        answer = await send(running)
        gate.open()
        assert (await first).status_code == 200
        return answer


async def overloaded(_: Path) -> httpx.Response:
    return await behind_a_held_model(
        lambda running: running.client.post("/pose", content=PICTURE), max_requests=1
    )


async def deadline_exceeded(_: Path) -> httpx.Response:
    headers = {"X-Timeout-Ms": "20"}
    return await behind_a_held_model(
        lambda running: running.client.post("/pose", content=PICTURE, headers=headers), max_requests=2
    )


async def deadline_too_near(_: Path) -> httpx.Response:
    async with in_process() as running:
        running.parts.admission.observe(Kind("echo-pose"), 1, 10.0)
        return await running.client.post("/pose", content=PICTURE, headers={"X-Timeout-Ms": "5000"})


async def internal(_: Path) -> httpx.Response:
    def fail(crops: Tensor) -> None:
        raise RuntimeError("a secret of /home/somebody")

    async with in_process({"echo-pose": EchoPose(fail)}) as running:
        return await running.client.post("/pose", content=PICTURE)


async def slow_body(_: Path) -> httpx.Response:
    async def stalled() -> AsyncIterator[bytes]:
        yield PICTURE[:10]
        await asyncio.Event().wait()

    async with in_process(body_timeout_s=0.05) as running:
        return await running.client.post("/pose", content=stalled())


async def not_ready(_: Path) -> httpx.Response:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(before_warm=gate)}, until_started=False) as running:
        await gate.entered()
        answer = await running.client.post("/pose", content=PICTURE)
        gate.open()
        return answer


async def draining(_: Path) -> httpx.Response:
    async with in_process() as running:
        await running.parts.lifecycle.drain(grace_s=0)
        return await running.client.post("/pose", content=PICTURE)


async def device_failed(_: Path) -> httpx.Response:
    async with in_process() as running:
        running.parts.lifecycle.fail("the device failed")
        return await running.client.post("/pose", content=PICTURE)


TABLE: dict[str, tuple[int, Scenario]] = {
    "empty-body": (400, asking("/pose", b"")),
    "bad-multipart": (400, asking("/pose", content_type="multipart/form-data")),
    "bad-json": (400, asking("/pose", content_type="application/json")),
    "bad-base64": (400, asking("/pose", b'{"image": "*"}', content_type="application/json")),
    "unknown-option": (400, asking("/pose?threshold=1")),
    "conflicting-option": (400, asking("/pose?max_people=1&max_people=2")),
    "no-key": (401, with_keys()),
    "wrong-key": (403, with_keys(authorization="Bearer guess")),
    "not-found": (404, asking("/poses")),
    "unknown-model": (404, asking("/pose?model=gpt")),
    "wrong-method": (405, asking("/pose", method="PUT")),
    "not-acceptable": (406, asking("/pose", accept="image/jpeg")),
    "slow-body": (408, slow_body),
    "body-too-large": (413, asking("/pose", bytes(2048), settings={"max_body_bytes": 1024})),
    "image-too-large": (413, asking("/pose", huge())),
    "not-an-image": (415, asking("/pose", b"just words")),
    "unsupported-format": (415, asking("/pose", b"%PDF-1.7 and so on")),
    "broken-image": (422, asking("/pose", PICTURE[:-30])),
    "image-too-small": (422, asking("/pose", plain(width=40, height=15))),
    "bad-option": (422, asking("/pose?max_people=0")),
    "bad-box": (422, asking("/pose?boxes=[[0,0,0,0]]")),
    "overloaded": (429, overloaded),
    "deadline-too-near": (429, deadline_too_near),
    "internal": (500, internal),
    "not-ready": (503, not_ready),
    "draining": (503, draining),
    "device-failed": (503, device_failed),
    "deadline-exceeded": (504, deadline_exceeded),
}


@pytest.mark.parametrize("slug", TABLE)
async def test_a_problem_has_its_status_and_form(slug: str, tmp_path: Path) -> None:
    status, scenario = TABLE[slug]
    answer = await scenario(tmp_path)
    body = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (status, status, f"/problems/{slug}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["title"] == KINDS[slug].title
    assert len(body["detail"]) > 10


@pytest.mark.parametrize("slug", [slug for slug, (status, _) in TABLE.items() if status in (429, 503)])
async def test_a_refusal_says_when_to_come_again(slug: str, tmp_path: Path) -> None:
    answer = await TABLE[slug][1](tmp_path)
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_defect_shows_nothing_of_the_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answer = await internal(tmp_path)
    assert not any(word in answer.text for word in ("secret", "home", "Traceback", "RuntimeError"))
    assert "a secret of /home/somebody" in caplog.text


async def test_a_defect_is_logged_with_the_request_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await internal(tmp_path)
    [record] = [record for record in caplog.records if record.message == "defect"]
    assert vars(record)["request_id"] == answer.headers["x-request-id"]


async def test_a_wrong_method_is_told_the_right_one(service: Running) -> None:
    assert (await service.client.get("/pose")).headers["allow"] == "POST"
    assert (await service.client.post("/livez")).headers["allow"] == "GET, HEAD"


async def test_a_missing_key_is_told_the_scheme(tmp_path: Path) -> None:
    assert (await with_keys()(tmp_path)).headers["www-authenticate"] == "Bearer"


async def test_every_problem_has_a_page(service: Running) -> None:
    for slug, kind in KINDS.items():
        page = await service.client.get(f"/problems/{slug}")
        assert (page.status_code, str(kind.status) in page.text) == (200, True)
