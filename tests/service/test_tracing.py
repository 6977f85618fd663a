"""Spans of requests, of their stages and of batches, as a collector gets them."""

import asyncio
import re
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk.trace", reason="spans need: pip install 'hrformer[tracing]'")

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service.models import Model
from tests.service.collector import Collector, attributes_of, ids
from tests.service.conftest import in_process, on_sockets, until
from tests.service.echo_models import EchoPeople, EchoPose, Gate
from tests.service.pictures import plain
from tests.service.raw_client import Connection, request

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=one,other=two"}


async def traced(*requests: httpx.Request, models: dict[str, Model] | None = None) -> list[httpx.Response]:
    """Answers of a service that has ended since."""
    async with in_process(models, tracing=True) as running:
        return [await running.client.send(one) for one in requests]


def post(path: str = "/pose", content: bytes | None = None, **headers: str) -> httpx.Request:
    body = plain() if content is None else content
    return httpx.Request("POST", f"http://service:8000{path}", content=body, headers=headers)


def get(path: str, **headers: str) -> httpx.Request:
    return httpx.Request("GET", f"http://service{path}", headers=headers)


def told(span: Span, name: str) -> Any:
    return attributes_of(span.attributes).get(name)


async def test_a_request_has_a_span_with_the_stable_names_of_http(collector: Collector) -> None:
    await traced(post("/pose?timing=true", **{"User-Agent": "camera/1", "X-Request-ID": "mine"}))
    [span] = collector.named("POST /pose")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes_of(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/pose",
        "http.response.status_code": 200,
        "url.path": "/pose",
        "url.scheme": "http",
        "server.address": "service",
        "server.port": 8000,
        "network.protocol.version": "1.1",
        "user_agent.original": "camera/1",
        "hrformer.request_id": "mine",
        "hrformer.model": "echo-pose",
    }


async def test_a_request_goes_on_with_the_trace_that_it_names(collector: Collector) -> None:
    [answer] = await traced(post(**SAMPLED))
    [span] = collector.named("POST /pose")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.trace_state == SAMPLED["tracestate"]
    assert answer.headers["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"


@pytest.mark.parametrize("given", [{}, {"traceparent": f"00-{TRACE}-{'0' * 16}-01"}])
async def test_a_request_without_a_trace_begins_one(collector: Collector, given: dict[str, str]) -> None:
    [answer] = await traced(post(**given))
    [span] = collector.named("POST /pose")
    assert (len(span.trace_id), span.parent_span_id) == (16, b"")
    assert re.fullmatch(f"00-{'-'.join(ids(span))}-0[13]", answer.headers["traceparent"])
    assert span.trace_id.hex() != TRACE


async def test_the_stages_of_a_request_are_spans_inside_of_its_own(collector: Collector) -> None:
    [answer] = await traced(post(), models={"echo-pose": EchoPose(), "echo-people": EchoPeople()})
    [span] = collector.named("POST /pose")
    stages = sorted(collector.inside(span), key=lambda stage: stage.start_time_unix_nano)
    names = ["receive", "decode", "find_wait", "find_model", "decode", "wait", "model", "encode"]
    assert [stage.name for stage in stages] == names
    moments = [at for stage in stages for at in (stage.start_time_unix_nano, stage.end_time_unix_nano)]
    assert [span.start_time_unix_nano, *moments, span.end_time_unix_nano] == sorted(
        [span.start_time_unix_nano, *moments, span.end_time_unix_nano]
    )
    shown = dict(re.findall(r"(\w+);dur=([0-9.]+)", answer.headers["server-timing"]))
    [model] = collector.named("model")
    model_ms = (model.end_time_unix_nano - model.start_time_unix_nano) / 1e6
    assert model_ms == pytest.approx(float(shown["model"]), abs=0.006)  # shown to a hundredth


async def test_a_batch_and_its_requests_are_linked_both_ways(collector: Collector) -> None:
    gate = Gate()
    async with in_process({"echo-pose": EchoPose(gate)}, tracing=True) as running:
        asking = [asyncio.create_task(running.client.send(post(**SAMPLED)))]
        await gate.entered()
        asking += [asyncio.create_task(running.client.send(post(**SAMPLED))) for _ in range(2)]
        await until(lambda: running.parts.batcher.line.waiting() == 2)
        gate.open()
        await asyncio.gather(*asking)
    alone, together = collector.named("batch echo-pose")
    requests = [span for span in collector.named("POST /pose") if ids(together) in map(ids, span.links)]
    assert sorted(map(ids, together.links)) == sorted(map(ids, requests))
    assert (len(alone.links), len(together.links)) == (1, 2)
    assert TRACE not in {alone.trace_id.hex(), together.trace_id.hex()}


async def test_a_batch_tells_what_was_computed(collector: Collector) -> None:
    await traced(post("/pose?boxes=[[0,0,9,9],[1,1,9,9]]&flip_test=true"))
    [batch] = collector.named("batch echo-pose")
    assert attributes_of(batch.attributes) == {
        "hrformer.model": "echo-pose",
        "hrformer.model_version": "0123456789ab",
        "hrformer.device": "cpu",
        "hrformer.flip_test": True,
        "hrformer.batch.items": 2,
        "hrformer.batch.requests": 1,
    }


async def test_what_the_client_did_wrong_is_told_and_is_no_error(collector: Collector) -> None:
    await traced(post(content=b""), get("/nowhere"))
    [span], [other] = collector.named("POST /pose"), collector.named("GET")
    assert (told(span, "http.response.status_code"), told(span, "hrformer.problem")) == (400, "empty-body")
    assert (told(other, "http.response.status_code"), told(other, "http.route")) == (404, None)
    assert {one.status.code for one in (span, other)} == {Status.STATUS_CODE_UNSET}
    assert told(span, "error.type") is None


async def test_a_batch_that_fails_is_an_error_of_its_span_and_of_the_request(collector: Collector) -> None:
    def fail(_: object) -> None:
        raise ArithmeticError("no number")

    await traced(post(), models={"echo-pose": EchoPose(fail)})
    [batch], [span] = collector.named("batch echo-pose"), collector.named("POST /pose")
    assert (batch.status.code, batch.status.message) == (Status.STATUS_CODE_ERROR, "no number")
    assert (told(batch, "error.type"), told(span, "error.type")) == ("ArithmeticError", "internal")
    assert (span.status.code, told(span, "http.response.status_code")) == (Status.STATUS_CODE_ERROR, 500)


async def test_a_client_that_leaves_has_no_status_and_is_no_error(collector: Collector) -> None:
    gate = Gate()
    async with on_sockets({"echo-pose": EchoPose(gate)}, tracing=True) as running:
        connection = await Connection.open(running.address)
        connection.send(request(plain()))
        await gate.entered()
        await connection.leave()
        await until(lambda: running.metric("cancelled_total", stage="model") == 1)
        gate.open()
    [span] = collector.named("POST /pose")
    assert (told(span, "http.response.status_code"), told(span, "error.type")) == (None, None)
    assert (told(span, "hrformer.client_left_in"), span.status.code) == ("model", Status.STATUS_CODE_UNSET)


async def test_probes_are_not_traced(collector: Collector) -> None:
    answers = await traced(*(get(path, **SAMPLED) for path in ("/livez", "/readyz", "/metrics")))
    assert collector.spans == []
    assert all(TRACE in answer.headers["traceparent"] for answer in answers)


async def test_the_trace_is_in_the_log(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await traced(post())
    [record] = [vars(record) for record in caplog.records if record.message == "request"]
    assert [record["trace_id"]] == [span.trace_id.hex() for span in collector.named("POST /pose")]


@pytest.mark.parametrize(
    "headers", [{"Host": "[::"}, {"Host": "a:b:c"}, {"User-Agent": "x" * 9000}, {"User-Agent": "ä\xff"}]
)
async def test_a_strange_request_has_a_span_of_bounded_size(
    collector: Collector, headers: dict[str, str]
) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    path = "/\N{SNOWMAN}%ED%A0%80" + "y" * 9000
    await traced(httpx.Request("GET", f"http://service{path}", headers=encoded))
    [span] = collector.named("GET")
    assert told(span, "http.response.status_code") == 404
    assert max(len(str(value)) for value in attributes_of(span.attributes).values()) == 512


async def test_a_trace_state_that_is_none_is_dropped_without_a_word(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    await traced(post(traceparent=SAMPLED["traceparent"], tracestate="what?,vendor=one"))
    await traced(post(traceparent=SAMPLED["traceparent"], tracestate="x=" + "y" * 9000))
    assert [span.trace_id.hex() for span in collector.named("POST /pose")] == [TRACE, TRACE]
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


async def test_an_unknown_method_is_none_of_its_own(collector: Collector) -> None:
    await traced(httpx.Request("BREW", "http://service/pose"))
    [span] = collector.named("HTTP /pose")
    assert told(span, "http.request.method") == "_OTHER"
