"""What every answer carries."""

import re

import pytest

from tests.service.conftest import Running
from tests.service.pictures import plain

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GETS = [
    "/livez",
    "/readyz",
    "/metrics",
    "/version",
    "/models",
    "/models/echo-pose",
    "/openapi.json",
    "/docs",
    "/",
]


@pytest.mark.parametrize("path", [*GETS, "/nowhere", "/problems/overloaded"])
async def test_head_is_get_without_the_body(service: Running, path: str) -> None:
    get, head = await service.client.get(path), await service.client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"] if get.content else True


@pytest.mark.parametrize("path", [*GETS, "/nowhere"])
async def test_every_answer_has_id_and_timing(service: Running, path: str) -> None:
    answer = await service.client.get(path)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert re.fullmatch(r"total;dur=[0-9.]+", answer.headers["server-timing"])


@pytest.mark.parametrize("given", ["a", "A.b_c-9", "x" * 64])
async def test_a_request_id_that_fits_is_kept(service: Running, given: str) -> None:
    answer = await service.client.get("/nowhere", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "ä".encode()])
async def test_a_request_id_that_does_not_fit_is_replaced(service: Running, given: str | bytes) -> None:
    answer = await service.client.get("/livez", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/pose", "/segment"])
async def test_the_time_of_each_stage_is_told(service: Running, path: str) -> None:
    answer = await service.client.post(path, content=plain())
    stages = [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert stages == ["receive", "decode", "queue", "model", "encode", "total"]


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_a_trace_is_carried_on(service: Running, flags: str) -> None:
    parent = f"00-{TRACE}-00f067aa0ba902b7-{flags}"
    answer = await service.client.get("/livez", headers={"traceparent": parent})
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-{flags}", answer.headers["traceparent"])
    assert answer.headers["traceparent"] != parent


@pytest.mark.parametrize(
    "given",
    [
        "nonsense",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    ],
)
async def test_a_trace_that_is_none_is_dropped(service: Running, given: str) -> None:
    answer = await service.client.get("/livez", headers={"traceparent": given})
    assert "traceparent" not in answer.headers


async def test_a_request_is_logged_with_its_id_trace_and_stages(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    headers = {"X-Request-ID": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    await service.client.post("/pose", content=plain(), headers=headers)
    [record] = [vars(record) for record in caplog.records if record.message == "request"]
    assert (record["request_id"], record["trace_id"], record["status"]) == ("mine", TRACE, "200")
    assert record["stages_ms"].keys() == {"receive", "decode", "queue", "model", "encode"}


async def test_no_redirect_for_a_trailing_slash(service: Running) -> None:
    assert (await service.client.post("/pose/", content=plain())).status_code == 404
