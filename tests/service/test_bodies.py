"""The three forms of a body, and what is wrong with those that are none."""

import base64
import json
from collections.abc import AsyncIterator

import pytest

from service.body import ENVELOPE_BYTES
from tests.service.conftest import Running, in_process
from tests.service.pictures import plain

PICTURE = plain()
BASE64 = base64.b64encode(PICTURE).decode()
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "content_type",
    [
        "image/jpeg",
        "image/png",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
        None,
    ],
)
async def test_the_file_itself_is_a_body_whatever_its_type_says(
    service: Running, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await service.client.post("/pose", content=PICTURE, headers=headers)
    assert answer.json()["people"][0]["keypoints"][0]["x"] == 100.0


async def test_a_form_carries_the_picture_and_options(service: Running) -> None:
    answer = await service.client.post(
        "/pose", files={"image": ("x.txt", PICTURE)}, data={"boxes": "[[0, 0, 9, 9]]"}
    )
    assert answer.json()["people"][0]["box"] == [0, 0, 9, 9]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:;base64,"])
async def test_json_carries_the_picture_and_options(service: Running, prefix: str) -> None:
    answer = await service.client.post("/pose", json={"image": prefix + BASE64, "boxes": [[0, 0, 9, 9]]})
    assert answer.json()["people"][0]["box"] == [0, 0, 9, 9]


async def test_base64_may_have_line_breaks(service: Running) -> None:
    lines = base64.encodebytes(PICTURE).decode()
    assert (await service.client.post("/pose", json={"image": lines})).status_code == 200


async def test_null_options_of_json_count_as_not_given(service: Running) -> None:
    answer = await service.client.post("/pose", json={"image": BASE64, "model": None, "boxes": None})
    assert answer.json()["boxes"] == "whole"


async def test_a_large_form_is_read_as_well(service: Running) -> None:
    answer = await service.client.post("/pose", files={"image": plain(kind="BMP", width=400, height=300)})
    assert answer.json()["image"] == {"width": 400, "height": 300}


def form(*parts: tuple[str, bytes]) -> bytes:
    lines = [
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), v) for n, v in parts
    ]
    return b"".join(lines) + b"--b--\r\n"


BAD = {
    "nothing": (b"", {}, "empty-body"),
    "an empty file in a form": (form(("image", b"")), FORM, "empty-body"),
    "an empty string in JSON": (b'{"image": ""}', JSON, "empty-body"),
    "nothing said to be JSON": (b"", JSON, "empty-body"),
    "nothing said to be a form": (b"", FORM, "bad-multipart"),
    "a form without boundary": (PICTURE, {"Content-Type": "multipart/form-data"}, "bad-multipart"),
    "a picture said to be a form": (PICTURE, FORM, "bad-multipart"),
    "a form that is cut off": (form(("image", PICTURE))[:-9], FORM, "bad-multipart"),
    "a form without image": (form(("file", b"x")), FORM, "bad-multipart"),
    "a part without a name": (b"--b\r\nA: b\r\n\r\nx\r\n--b--\r\n", FORM, "bad-multipart"),
    "two images in a form": (form(("image", b"x"), ("image", b"y")), FORM, "bad-multipart"),
    "a form of a thousand parts": (form(*[("image", b"x")] * 1000), FORM, "bad-multipart"),
    "a part with many headers": (b"--b\r\n" + b"A: b\r\n" * 9 + b"\r\nx\r\n--b--\r\n", FORM, "bad-multipart"),
    "a part with a long header": (b"--b\r\nA: " + b"b" * 5000 + b"\r\n\r\nx\r\n--b--", FORM, "bad-multipart"),
    "an option that is not UTF-8": (form(("model", b"\xff"), ("image", b"x")), FORM, "bad-multipart"),
    "a picture said to be JSON": (PICTURE, JSON, "bad-json"),
    "JSON that is cut off": (b'{"image": "abc', JSON, "bad-json"),
    "a JSON list": (b"[]", JSON, "bad-json"),
    "JSON without image": (b'{"model": "echo-pose"}', JSON, "bad-json"),
    "a number for image": (b'{"image": 1}', JSON, "bad-json"),
    "image twice in JSON": (b'{"image": "QUJD", "image": "QUJD"}', JSON, "bad-json"),
    "JSON of millions of values": (
        b'{"image": "QUJD", "a": [' + b"[]," * 2_000_000 + b"1]}",
        JSON,
        "bad-json",
    ),
    "a hundred thousand brackets": (b"[" * 100_000, JSON, "bad-json"),
    "a number of ten thousand digits": (b'{"image": "", "a": ' + b"1" * 10_000 + b"}", JSON, "bad-json"),
    "base64 with other characters": (b'{"image": "QUJD*"}', JSON, "bad-base64"),
    "base64 without padding": (b'{"image": "QUI"}', JSON, "bad-base64"),
    "a URL": (b'{"image": "http://example.org/photo.jpg"}', JSON, "bad-base64"),
    "a data: URL that is not base64": (b'{"image": "data:image/png,abc"}', JSON, "bad-base64"),
    "letters beyond ASCII for base64": ('{"image": "äöü"}'.encode(), JSON, "bad-base64"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_malformed_body_is_refused(service: Running, name: str) -> None:
    body, headers, slug = BAD[name]
    answer = await service.client.post("/pose", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, f"/problems/{slug}")


LIMIT = 1024 * 1024


@pytest.mark.parametrize("extra_bytes", [0, 1])
@pytest.mark.parametrize("form", ["file", "form", "json"])
async def test_a_picture_of_the_largest_size_is_taken_and_one_byte_more_is_not(
    form: str, extra_bytes: int
) -> None:
    picture = PICTURE + bytes(LIMIT - len(PICTURE) + extra_bytes)
    async with in_process(max_body_bytes=LIMIT) as running:
        if form == "file":
            answer = await running.client.post("/pose", content=picture)
        elif form == "form":
            answer = await running.client.post("/pose", files={"image": picture})
        else:
            answer = await running.client.post("/pose", json={"image": base64.b64encode(picture).decode()})
    assert answer.status_code == (413 if extra_bytes else 200), answer.text


async def test_a_body_of_unknown_length_is_read_only_up_to_the_limit() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield bytes(65536)

    async with in_process(max_body_bytes=LIMIT) as running:
        answer = await running.client.post("/pose", content=endless())
    assert answer.json()["type"] == "/problems/body-too-large"
    assert sent <= LIMIT + 2 * 65536


async def test_fields_beside_a_picture_may_not_fill_the_memory() -> None:
    body = json.dumps({"image": BASE64, "model": "x" * (2 * ENVELOPE_BYTES)})
    async with in_process(max_body_bytes=1024) as running:
        answer = await running.client.post("/pose", content=body, headers=JSON)
    assert answer.status_code == 413
