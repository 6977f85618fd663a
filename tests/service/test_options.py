"""Options: where they are given, what they may be, what they do."""

import base64
from typing import Any

import pytest

from tests.service.conftest import Running, in_process
from tests.service.pictures import halves, plain

PICTURE = plain()
BASE64 = base64.b64encode(PICTURE).decode()


async def problem(service: Running, path: str, **arguments: Any) -> tuple[int, str, str | None]:
    answer = await service.client.post(path, **({"content": PICTURE} | arguments))
    body = answer.json()
    return answer.status_code, body["type"].removeprefix("/problems/"), body.get("field")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("box", "boxes"),
        ("fliptest", "flip_test"),
        ("keypoint_treshold", "keypoint_threshold"),
        ("Model", "model"),
    ],
)
async def test_an_unknown_option_is_refused_with_the_nearest_name(
    service: Running, name: str, nearest: str
) -> None:
    answer = await service.client.post(f"/pose?{name}=1", content=PICTURE)
    assert answer.status_code == 400
    assert answer.json()["field"] == name
    assert f"did you mean {nearest}?" in answer.json()["detail"]


@pytest.mark.parametrize("option", ["boxes=whole", "flip_test=true", "max_people=1", "image=x"])
async def test_options_of_another_route_are_unknown(service: Running, option: str) -> None:
    assert (await problem(service, f"/segment?{option}"))[:2] == (400, "unknown-option")


async def test_an_unknown_option_is_found_in_every_form(service: Running) -> None:
    form = await problem(service, "/pose", content=None, files={"image": PICTURE}, data={"modell": "x"})
    json = await problem(service, "/pose", content=None, json={"image": BASE64, "modell": "x"})
    assert form == json == (400, "unknown-option", "modell")


@pytest.mark.parametrize(
    ("query", "beside", "agree"),
    [
        ("max_people=3", {"max_people": 4}, False),
        ("max_people=3", {"max_people": "3"}, True),
        ("keypoint_threshold=0.50", {"keypoint_threshold": 0.5}, True),
        ("flip_test=1", {"flip_test": True}, True),
        ("flip_test=1", {"flip_test": False}, False),
        ("boxes=[[0,0,9,9]]", {"boxes": [[0, 0, 9, 9]]}, True),
        ("boxes=whole", {"boxes": [[0, 0, 9, 9]]}, False),
        ("max_people=3&max_people=4", {}, False),
    ],
)
async def test_an_option_given_twice_must_agree(
    service: Running, query: str, beside: dict[str, Any], agree: bool
) -> None:
    answer = await service.client.post(f"/pose?{query}", json={"image": BASE64} | beside)
    assert answer.status_code == (200 if agree else 400)
    assert agree or answer.json()["type"] == "/problems/conflicting-option"


@pytest.mark.parametrize("body", [b'{"image": "%s", "max_people": 3, "max_people": 4}' % BASE64.encode()])
async def test_a_name_twice_in_json_must_agree_too(service: Running, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await problem(service, "/pose", content=body, headers=headers))[1] == "conflicting-option"


BAD_VALUES = [
    ("box_threshold=-0.01", "box_threshold", "0 to 1"),
    ("box_threshold=1.01", "box_threshold", "0 to 1"),
    ("box_threshold=nan", "box_threshold", "0 to 1"),
    ("box_threshold=half", "box_threshold", "0 to 1"),
    ("keypoint_threshold=2", "keypoint_threshold", "0 to 1"),
    ("keypoint_threshold=", "keypoint_threshold", "0 to 1"),
    ("max_people=0", "max_people", "1 to 64"),
    ("max_people=65", "max_people", "1 to 64"),
    ("max_people=1.5", "max_people", "1 to 64"),
    ("max_people=1e999", "max_people", "1 to 64"),
    ("flip_test=maybe", "flip_test", "true or false"),
    ("timing=2", "timing", "true or false"),
    ("format=jpeg", "format", "json, overlay"),
    ("model=", "model", "a name"),
    ("boxes=", "boxes", "JSON list"),
    ("boxes=all", "boxes", "JSON list"),
    ("boxes={}", "boxes", "JSON list"),
    ("boxes=" + "[" * 5000, "boxes", "JSON list"),
    ("boxes=[" + ",".join(["[0,0,9,9]"] * 65) + "]", "boxes", "at most 64"),
]


@pytest.mark.parametrize(("query", "field", "expected"), BAD_VALUES)
async def test_a_value_out_of_range_is_refused_with_the_range(
    service: Running, query: str, field: str, expected: str
) -> None:
    answer = await service.client.post(f"/pose?{query}", content=PICTURE)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-option")
    assert answer.json()["field"] == field
    assert expected in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_people", True),
        ("max_people", [1]),
        ("flip_test", 1),
        ("model", 1),
        ("format", {}),
        ("boxes", {}),
        ("timing", ""),
    ],
)
async def test_a_json_value_of_another_type_is_refused(service: Running, name: str, value: object) -> None:
    found = await problem(service, "/pose", content=None, json={"image": BASE64, name: value})
    assert found == (422, "bad-option", name)


@pytest.mark.parametrize(
    ("name", "value"), [("X-Timeout-Ms", v) for v in ("0", "600001", "soon", "")] + [("X-Priority", "urgent")]
)
async def test_a_header_out_of_range_is_refused(service: Running, name: str, value: str) -> None:
    assert await problem(service, "/pose", headers={name: value}) == (422, "bad-option", name)


async def test_nobody_may_ask_for_more_time_than_the_setting_allows() -> None:
    async with in_process(timeout_ms=500, max_timeout_ms=1000) as running:
        asked = {"1000": 200, "1001": 422}
        for timeout_ms, status in asked.items():
            headers = {"X-Timeout-Ms": timeout_ms}
            answer = await running.client.post("/pose", content=plain(), headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize(("timeout_ms", "priority"), [("1000", "high"), ("600000", "normal")])
async def test_headers_within_their_range_are_taken(service: Running, timeout_ms: str, priority: str) -> None:
    headers = {"X-Timeout-Ms": timeout_ms, "X-Priority": priority}
    assert (await service.client.post("/pose", content=PICTURE, headers=headers)).status_code == 200


BAD_BOXES = [
    ("[[0,0,9]]", 0, "four"),
    ("[[0,0,9,9],[0,0,9,9,9]]", 1, "four"),
    ("[[0,0,9,true]]", 0, "four"),
    ('[[0,0,9,"9"]]', 0, "four"),
    ("[7]", 0, "four"),
    ("[[0,0,9,9],[0,0,NaN,9]]", 1, "finite"),
    ("[[0,0,Infinity,9]]", 0, "finite"),
    ("[[0,0,1e999,9]]", 0, "finite"),
    ("[[1e308,0,1e308,9]]", 0, "finite"),
    ("[[0,0,0,9]]", 0, "no area"),
    ("[[0,0,9,-1]]", 0, "no area"),
    ("[[0,0,9,9],[700,0,60,9]]", 1, "x from 700 to 760, but the image has x from 0 to 40"),
    ("[[40,0,9,9]]", 0, "outside"),
    ("[[-9,0,9,9]]", 0, "outside"),
    ("[[0,30,9,9]]", 0, "outside"),
    ("[[0,-10,9,9]]", 0, "outside"),
]


@pytest.mark.parametrize(("boxes", "index", "expected"), BAD_BOXES)
async def test_a_box_that_cannot_be_used_is_refused_with_its_index(
    service: Running, boxes: str, index: int, expected: str
) -> None:
    answer = await service.client.post("/pose", params={"boxes": boxes}, content=PICTURE)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-box")
    assert answer.json()["index"] == index
    assert expected in answer.json()["detail"]


async def test_boxes_are_answered_as_given_and_in_their_order(service: Running) -> None:
    boxes = [[25.5, 5, 10, 10], [-5, -5, 10, 10], [5, 5, 1000, 5]]
    answer = await service.client.post("/pose", json={"image": BASE64, "boxes": boxes})
    assert [person["box"] for person in answer.json()["people"]] == boxes
    assert answer.json()["boxes"] == "given"


async def test_each_box_gets_its_own_part_of_the_picture(service: Running) -> None:
    image = base64.b64encode(halves((10, 0, 0), (90, 0, 0))).decode()
    boxes = [[22, 2, 10, 10], [2, 2, 10, 10]]
    answer = await service.client.post("/pose", json={"image": image, "boxes": boxes})
    assert [person["keypoints"][0]["x"] for person in answer.json()["people"]] == [90, 10]


async def test_sixty_four_boxes_are_answered_whole(service: Running) -> None:
    boxes = [[n % 30, n % 20, 5, 5] for n in range(64)]
    answer = await service.client.post("/pose", json={"image": BASE64, "boxes": boxes})
    assert [person["box"] for person in answer.json()["people"]] == boxes


async def test_no_boxes_are_no_people(service: Running) -> None:
    answer = await service.client.post("/pose?boxes=[]", content=PICTURE)
    assert (answer.json()["boxes"], answer.json()["people"]) == ("given", [])


async def test_the_keypoint_threshold_marks_and_keeps(service: Running) -> None:
    answer = await service.client.post("/pose?keypoint_threshold=0.9", content=PICTURE)
    keypoints = answer.json()["people"][0]["keypoints"]
    assert len(keypoints) == 17
    assert not any(keypoint["visible"] for keypoint in keypoints)


async def test_the_flip_test_reaches_the_model(service: Running) -> None:
    answer = await service.client.post("/pose?flip_test=true", content=PICTURE)
    assert answer.json()["people"][0]["keypoints"][0]["x"] == 1100


@pytest.mark.parametrize("path", ["/pose?timing=true", "/segment?timing=true&format=json"])
async def test_timing_adds_stage_times(service: Running, path: str) -> None:
    answer = await service.client.post(path, content=PICTURE)
    assert {"receive", "decode", "queue", "model"} <= answer.json()["timing"].keys()


async def test_a_model_is_chosen_by_name(service: Running) -> None:
    answer = await service.client.post("/pose?model=echo-pose", content=PICTURE)
    assert answer.json()["model"] == answer.headers["x-model"] == "echo-pose"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/pose?model=ecko-pose", "echo-pose?"),
        ("/pose?model=zzz", "there are"),
        ("/pose?model=echo-parsing", "segmentation"),
    ],
)
async def test_an_unknown_model_is_refused_with_a_hint(service: Running, path: str, hint: str) -> None:
    answer = await service.client.post(path, content=PICTURE)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-model")
    assert hint in answer.json()["detail"]


async def test_text_that_is_no_unicode_does_no_harm(service: Running) -> None:
    body = b'{"image": "%s", "\\ud800": 1}' % BASE64.encode()
    answer = await service.client.post("/pose", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/unknown-option")
