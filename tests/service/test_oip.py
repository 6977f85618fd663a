"""`/v2`: the Open Inference Protocol, as KServe's clients ask."""

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import orjson
import pytest

import hrformer
from service.exchange import ROUTES, route_of
from tests.service.conftest import Running, echo_models, in_process
from tests.service.echo_models import EchoPeople
from tests.service.pictures import plain

INFER = "/v2/models/echo-pose/infer"
LENGTH = "Inference-Header-Content-Length"
PICTURE = plain((100, 150, 200), width=20, height=16)
TEXT = base64.b64encode(PICTURE).decode()


def inputs(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]} | changes]


def tensor(answer: dict[str, Any], name: str) -> npt.NDArray[Any]:
    """An output as a client reads it."""
    (output,) = [one for one in answer["outputs"] if one["name"] == name]
    dtype = {"FP32": np.float32, "UINT8": np.uint8}[output["datatype"]]
    return np.array(output["data"], dtype).reshape(output["shape"])


@pytest.fixture(scope="module")
async def oip() -> AsyncIterator[Running]:
    async with in_process(echo_models() | {"echo-people": EchoPeople()}) as running:
        yield running


async def test_the_server_tells_its_name_and_health(oip: Running) -> None:
    asked = {path: await oip.client.get(path) for path in ("/v2", "/v2/health/live", "/v2/health/ready")}
    assert [answer.json() for answer in asked.values()] == [
        {"name": "hrformer", "version": hrformer.__version__, "extensions": ["binary_tensor_data"]},
        {"live": True},
        {"ready": True},
    ]


async def test_a_model_that_is_not_ready_says_so_by_its_status() -> None:
    async with in_process() as running:
        running.parts.lifecycle.fail("the device failed")
        paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/echo-pose/ready")
        answers = [await running.client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert answers[2].json() == {"name": "echo-pose", "ready": False}


async def test_a_model_is_described_by_its_tensors(oip: Running) -> None:
    described = (await oip.client.get("/v2/models/echo-pose")).json()
    assert (described["name"], described["versions"]) == ("echo-pose", ["0123456789ab"])
    assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [1]}]
    assert described["outputs"][-1] == {"name": "keypoints", "datatype": "FP32", "shape": [-1, 17, 3]}


@pytest.mark.parametrize("model", ["echo-pose", "echo-people", "echo-parsing"])
async def test_the_outputs_have_the_names_types_and_shapes_that_were_told(oip: Running, model: str) -> None:
    told = (await oip.client.get(f"/v2/models/{model}")).json()["outputs"]
    answer = (await oip.client.post(f"/v2/models/{model}/infer", json={"inputs": inputs()})).json()
    assert [(one["name"], one["datatype"]) for one in answer["outputs"]] == [
        (one["name"], one["datatype"]) for one in told
    ]
    for output, described in zip(answer["outputs"], told, strict=True):
        sides = zip(output["shape"], described["shape"], strict=True)
        assert all(side == expected or expected == -1 for side, expected in sides)
        assert len(output["data"]) == np.prod(output["shape"])


async def test_keypoints_are_those_of_pose(oip: Running) -> None:
    request = {"inputs": inputs(), "parameters": {"boxes": [[2, 3, 10, 12]], "flip_test": True}}
    answer = (await oip.client.post(INFER, json=request)).json()
    plainly = {"image": TEXT} | request["parameters"]  # type: ignore[operator]
    [person] = (await oip.client.post("/pose", json=plainly)).json()["people"]
    keypoints = [[point["x"], point["y"], point["score"]] for point in person["keypoints"]]
    assert tensor(answer, "keypoints")[0] == pytest.approx(np.array(keypoints), abs=0.006)
    assert tensor(answer, "boxes").tolist() == [person["box"]]


async def test_everyone_is_found_without_boxes(oip: Running) -> None:
    answer = (await oip.client.post(INFER, json={"inputs": inputs()})).json()
    found = (await oip.client.post("/pose", content=plain(width=20, height=16))).json()["people"]
    assert tensor(answer, "keypoints").shape == (len(found), 17, 3)


async def test_the_mask_has_the_size_of_the_picture(oip: Running) -> None:
    answer = (await oip.client.post("/v2/models/echo-parsing/infer", json={"inputs": inputs()})).json()
    mask = tensor(answer, "mask")
    assert (mask.shape, mask.dtype, set(mask.ravel().tolist())) == ((16, 20), np.uint8, {100 // 26})


async def test_the_id_comes_back_and_only_the_outputs_that_are_named(oip: Running) -> None:
    request = {"id": 'a "7"', "inputs": inputs(data=[[TEXT]]), "outputs": [{"name": "scores"}]}
    answer = (await oip.client.post(INFER, json=request)).json()
    assert (answer["id"], [output["name"] for output in answer["outputs"]]) == ('a "7"', ["scores"])
    assert answer["model_name"] == "echo-pose"


@pytest.mark.parametrize(
    ("request_", "slug"),
    [
        ({}, "bad-json"),
        ({"inputs": []}, "bad-json"),
        ({"inputs": inputs(), "more": [0] * 20_000}, "bad-json"),
        ({"inputs": inputs() * 2}, "bad-json"),
        ({"inputs": inputs(name="picture")}, "bad-json"),
        ({"inputs": inputs(datatype="UINT8")}, "bad-json"),
        ({"inputs": inputs(shape=[2])}, "bad-json"),
        ({"inputs": inputs(shape=[])}, "bad-json"),
        ({"inputs": inputs(data=[])}, "bad-json"),
        ({"inputs": inputs(data=[TEXT, TEXT])}, "bad-json"),
        ({"inputs": inputs(data=[1])}, "bad-json"),
        ({"inputs": inputs(data=["?"])}, "bad-base64"),
        ({"inputs": inputs(data=[""])}, "empty-body"),
        ({"inputs": inputs(data=["AAAA"])}, "not-an-image"),
        ({"inputs": inputs(), "id": 7}, "bad-json"),
        ({"inputs": inputs(), "parameters": []}, "bad-json"),
        ({"inputs": inputs(), "parameters": {"box_treshold": 1}}, "unknown-option"),
        ({"inputs": inputs(), "parameters": {"format": "png"}}, "unknown-option"),
        ({"inputs": inputs(), "parameters": {"flip_test": "maybe"}}, "bad-option"),
        ({"inputs": inputs(), "outputs": {}}, "bad-json"),
        ({"inputs": inputs(), "outputs": [{}]}, "bad-json"),
        ({"inputs": inputs(), "outputs": ["scores"]}, "bad-json"),
        ({"inputs": inputs(), "outputs": [{"name": "mask"}]}, "bad-json"),
        ({"inputs": inputs(), "outputs": [{"name": "scores"}] * 2}, "bad-json"),
    ],
)
async def test_what_cannot_be_read_is_a_problem_with_the_error_of_the_protocol(
    oip: Running, request_: dict[str, Any], slug: str
) -> None:
    answer = await oip.client.post(INFER, json=request_)
    problem = answer.json()
    assert (problem["type"], problem["error"]) == (f"/problems/{slug}", problem["detail"])
    assert 400 <= answer.status_code < 500


def binary_request(size: int | None = None, **more: Any) -> tuple[bytes, dict[str, str]]:
    """The picture behind the JSON, and the headers; size: what is said of its bytes, if not the truth."""
    behind = struct.pack("<I", len(PICTURE)) + PICTURE
    one = {"name": "image", "datatype": "BYTES", "shape": [1]}
    one["parameters"] = {"binary_data_size": len(behind) if size is None else size}
    json = orjson.dumps({"inputs": [one]} | more)
    return json + behind, {LENGTH: str(len(json)), "Content-Type": "application/octet-stream"}


def read(answer: httpx.Response) -> dict[str, npt.NDArray[Any]]:
    """The outputs of an answer, in JSON or in binary, as a client reads them."""
    length = int(answer.headers.get(LENGTH, len(answer.content)))
    value, behind = orjson.loads(answer.content[:length]), answer.content[length:]
    found = {}
    for output in value["outputs"]:
        dtype = np.dtype({"FP32": "<f4", "UINT8": "u1"}[output["datatype"]])
        if "data" in output:
            found[output["name"]] = np.array(output["data"], dtype).reshape(output["shape"])
            continue
        size = output["parameters"]["binary_data_size"]
        found[output["name"]] = np.frombuffer(behind[:size], dtype).reshape(output["shape"])
        behind = behind[size:]
    assert behind == b""
    return found


@pytest.mark.parametrize("model", ["echo-pose", "echo-people", "echo-parsing"])
async def test_tensors_in_binary_are_those_of_json(oip: Running, model: str) -> None:
    path, everything = f"/v2/models/{model}/infer", {"parameters": {"binary_data_output": True}}
    body, headers = binary_request(**everything)
    answers = [
        await oip.client.post(path, json={"inputs": inputs()}),
        await oip.client.post(path, json={"inputs": inputs()} | everything),
        await oip.client.post(path, content=body, headers=headers),
    ]
    plainly, *in_binary = [read(answer) for answer in answers]
    assert [LENGTH in answer.headers for answer in answers] == [False, True, True]
    for found in in_binary:
        assert list(found) == list(plainly)
        assert all(np.array_equal(found[name], plainly[name]) for name in plainly)


async def test_each_output_is_sent_as_it_is_asked_for(oip: Running) -> None:
    wanted = [{"name": "keypoints", "parameters": {"binary_data": True}}, {"name": "scores"}]
    body, headers = binary_request(id="7", outputs=wanted)
    answer = await oip.client.post(INFER, content=body, headers=headers)
    head = orjson.loads(answer.content[: int(answer.headers[LENGTH])])
    assert (head["id"], list(read(answer))) == ("7", ["keypoints", "scores"])
    assert ["data" in output for output in head["outputs"]] == [False, True]
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("size", "length"),
    [(5, None), (-1, None), (None, "1000000"), (None, "-1"), (None, "x"), (None, "0"), (None, "9" * 5000)],
)
async def test_lengths_that_do_not_fit_are_refused(
    oip: Running, size: int | None, length: str | None
) -> None:
    body, headers = binary_request(size)
    answer = await oip.client.post(
        INFER, content=body, headers=headers | ({LENGTH: length} if length else {})
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-json")


@pytest.mark.parametrize("behind", [b"", b"\0", struct.pack("<I", 9) + b"short", struct.pack("<I", 0)])
async def test_an_element_has_the_length_that_it_says(oip: Running, behind: bytes) -> None:
    one = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(behind)},
    }
    json = orjson.dumps({"inputs": [one]})
    answer = await oip.client.post(INFER, content=json + behind, headers={LENGTH: str(len(json))})
    assert answer.json()["type"] == ("/problems/empty-body" if len(behind) == 4 else "/problems/bad-json")


async def test_an_unknown_model_is_404_everywhere(oip: Running) -> None:
    answers = [await oip.client.get(f"/v2/models/none{end}") for end in ("", "/ready")]
    answers.append(await oip.client.post("/v2/models/none/infer", json={"inputs": inputs()}))
    assert {answer.json()["type"] for answer in answers} == {"/problems/unknown-model"}


async def test_the_routes_that_tell_of_models_need_a_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key")
    async with in_process(api_keys_file=tmp_path / "keys") as running:
        for path in ("/v2", "/v2/models/echo-pose", "/v2/models/echo-pose/ready"):
            assert (await running.client.get(path)).status_code == 401
        assert (await running.client.post(INFER, json={"inputs": inputs()})).status_code == 401
        assert (await running.client.get("/v2/health/ready")).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_known_by_its_path(route: str) -> None:
    assert route_of(route.replace("{name}", "one").replace("{slug}", "one")) == route


@pytest.mark.parametrize("path", ["/v2/", "/v2/models/", "/v2/health", "/v2/models//ready", "/v3"])
def test_other_paths_are_other_or_a_model_of_a_strange_name(path: str) -> None:
    assert route_of(path) in ("other", "/v2/models/{name}")
