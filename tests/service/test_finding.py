"""`POST /pose` without boxes and `POST /people`: who is found, then the pose of each."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.models import Model
from tests.service.conftest import Running, in_process, until
from tests.service.echo_models import EchoPeople, EchoPose, EchoSegmentation, Gate
from tests.service.pictures import plain

THREE, NOBODY = plain((30, 150, 200)), plain((9, 150, 200))
BOXES = [[0, 3, 6, 9], [2, 3, 6, 9], [4, 3, 6, 9]]


def models(pose: EchoPose | None = None, people: EchoPeople | None = None) -> dict[str, Model]:
    stand_ins = (pose or EchoPose(), EchoSegmentation(), people or EchoPeople())
    return {model.entry.name: model for model in stand_ins}


@pytest.fixture(scope="module")
async def finding() -> AsyncIterator[Running]:
    async with in_process(models()) as running:
        yield running


async def people_of(running: Running, path: str, picture: bytes = THREE) -> Any:
    answer = await running.client.post(path, content=picture)
    assert answer.status_code == 200, answer.text
    return answer.json()["people"]


def is_idle(running: Running) -> bool:
    """Whether nothing is held for any request."""
    admission = running.parts.admission
    counted = admission.coming.total() + admission.searched.total() + running.parts.batcher.line.waiting()
    return (counted, admission.requests, admission.bytes) == (0, 0, 0)


async def test_poses_of_those_who_are_found_have_the_form_of_the_contract(finding: Running) -> None:
    answer = (await finding.client.post("/pose", content=THREE)).json()
    people = answer.pop("people")
    assert answer == {
        "model": "echo-pose",
        "model_version": "0123456789ab",
        "request_id": answer["request_id"],
        "image": {"width": 40, "height": 30},
        "boxes": "found",
        "finder": {"model": "echo-people", "model_version": "0123456789ab"},
    }
    assert [person["box"] for person in people] == BOXES
    assert [person["box_score"] for person in people] == [0.95, 0.85, 0.75]
    scores = [person["score"] for person in people]
    assert scores == pytest.approx([200 / 255 * sure for sure in (0.95, 0.85, 0.75)], abs=1e-4)
    assert {(person["keypoints"][0]["x"], person["keypoints"][0]["y"]) for person in people} == {(30, 150)}


async def test_boxes_alone_have_the_form_of_the_contract(finding: Running) -> None:
    answer = await finding.client.post("/people", content=THREE)
    assert answer.headers["x-model"] == "echo-people"
    assert answer.json() == {
        "model": "echo-people",
        "model_version": "0123456789ab",
        "request_id": answer.headers["x-request-id"],
        "image": {"width": 40, "height": 30},
        "people": [
            {"box": box, "score": score} for box, score in zip(BOXES, (0.95, 0.85, 0.75), strict=True)
        ],
    }


@pytest.mark.parametrize("path", ["/pose", "/people"])
@pytest.mark.parametrize(
    ("options", "count"),
    [
        ("", 7),  # of ten, those of 0.3 or more
        ("max_people=2", 2),
        ("box_threshold=0.6", 4),
        ("box_threshold=0", 10),
        ("box_threshold=1", 0),
        ("box_threshold=0.6&max_people=64", 4),
    ],
)
async def test_the_surest_are_found(finding: Running, path: str, options: str, count: int) -> None:
    people = await people_of(finding, f"{path}?{options}", plain((100, 0, 200)))
    assert [person["box"][0] for person in people] == [2 * number for number in range(count)]


@pytest.mark.parametrize("path", ["/pose", "/people"])
async def test_a_picture_without_people_gets_an_empty_list(path: str) -> None:
    async with in_process(models()) as running:
        assert await people_of(running, path, NOBODY) == []
        assert running.pose.batch_sizes == []  # the model for poses is not asked
        assert is_idle(running)


@pytest.mark.parametrize(("boxes", "said"), [("whole", "whole"), ("[[1,2,9,9]]", "given"), ("[]", "given")])
async def test_nobody_is_searched_for_where_boxes_are_given(boxes: str, said: str) -> None:
    people = EchoPeople()
    async with in_process(models(people=people)) as running:
        answer = (await running.client.post("/pose", params={"boxes": boxes}, content=THREE)).json()
        assert (answer["boxes"], answer.get("finder"), people.batch_sizes) == (said, None, [])
        assert all(person["box_score"] == 1 for person in answer["people"])


async def test_without_a_model_that_finds_people_the_whole_picture_is_one(service: Running) -> None:
    answer = (await service.client.post("/pose", content=THREE)).json()
    assert (answer["boxes"], [person["box"] for person in answer["people"]]) == ("whole", [[0, 0, 40, 30]])


async def test_without_a_model_that_finds_people_their_boxes_cannot_be_asked_for(service: Running) -> None:
    answer = await service.client.post("/people", content=THREE)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-model")
    assert "no model for people is served" in answer.json()["detail"]
    assert "give /pose the boxes" in answer.json()["detail"]


@pytest.mark.parametrize("options", ["boxes=whole", "keypoint_threshold=1", "flip_test=true"])
async def test_options_of_poses_are_unknown_to_people(finding: Running, options: str) -> None:
    answer = await finding.client.post(f"/people?{options}", content=THREE)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/unknown-option")


async def test_the_boxes_that_were_found_give_the_same_poses(finding: Running) -> None:
    found = await people_of(finding, "/pose")
    boxes = str([person["box"] for person in found])
    given = await people_of(finding, f"/pose?boxes={boxes}")
    assert [person["keypoints"] for person in given] == [person["keypoints"] for person in found]


async def test_what_is_served_says_how_sure_a_person_must_be(finding: Running) -> None:
    answer = (await finding.client.get("/models/echo-people")).json()
    assert (answer["task"], answer["is_default"], answer["box_threshold"]) == ("people", True, 0.3)


async def test_everyones_crops_run_as_one_batch() -> None:
    """Those of two pictures that were searched, and of one whose boxes are given."""
    searching, estimating = Gate(), Gate()
    stand_ins = models(EchoPose(estimating), EchoPeople(searching))
    async with in_process(stand_ins) as running:
        ask, line = running.client.post, running.parts.batcher.line
        first = asyncio.create_task(ask("/pose", content=NOBODY))
        await searching.entered()
        found = [asyncio.create_task(ask("/pose", content=THREE)) for _ in range(2)]
        await until(lambda: line.waiting() == 2)
        given = [asyncio.create_task(ask("/pose?boxes=whole", content=THREE)) for _ in range(2)]
        await until(lambda: line.waiting() == 4)
        searching.open()  # the two searches, then the first that needs no search
        await estimating.entered()
        given.append(asyncio.create_task(ask("/pose?boxes=whole", content=THREE)))
        await until(lambda: line.waiting() == 7)
        estimating.open()
        assert {(await one).status_code for one in [first, *found, *given]} == {200}
        assert running.pose.batch_sizes == [2, 7]


async def test_a_search_and_its_poses_are_counted_once_in_each_instrument() -> None:
    async with in_process(models()) as running:
        answer = await running.client.post("/pose?timing=true", content=THREE)
        stages = ("receive", "decode", "find_wait", "find_model", "wait", "model", "encode")
        for stage in stages:
            assert running.metric("stage_duration_seconds_count", model="echo-pose", stage=stage) == 1
        shown = {"receive", "decode", "find_queue", "find_model", "queue", "model"}
        assert answer.json()["timing"].keys() == shown
        for name in ("echo-people", "echo-pose"):
            assert running.metric("people_per_image_sum", model=name) == 3
            assert running.metric("model_calls_total", model=name, outcome="ok") == 1
        assert running.metric("batch_items_sum", model="echo-people") == 1
        assert running.metric("image_pixels_count") == 1
        assert running.metric("requests_total", route="/pose", status="200") == 1


async def test_people_who_are_found_count_for_the_model_that_found_them() -> None:
    async with in_process(models()) as running:
        await running.client.post("/people", content=THREE)
        assert running.metric("people_per_image_sum", model="echo-people") == 3
        assert running.metric("requests_total", route="/people", status="200") == 1


async def test_as_many_people_are_expected_as_pictures_had_of_late() -> None:
    async with in_process(models()) as running:
        for _ in range(100):
            await running.client.post("/people", content=THREE)
        kind = next(iter(running.parts.admission.people))
        assert running.parts.admission.people_expected(kind) == pytest.approx(3)


async def test_what_is_taken_is_answered_when_the_service_stops_between_the_stages() -> None:
    gate = Gate()
    async with in_process(models(people=EchoPeople(gate))) as running:
        asking = asyncio.create_task(running.client.post("/pose", content=THREE))
        await gate.entered()
        draining = asyncio.create_task(running.parts.lifecycle.drain(grace_s=0))
        await until(lambda: running.parts.lifecycle.is_closed)
        gate.open()
        assert len((await asking).json()["people"]) == 3
        await draining


async def test_one_picture_that_cannot_be_searched_fails_alone() -> None:
    def fail_on_nobody(canvases: Any) -> None:
        if any(int(canvas[0, 0, 0]) == 9 for canvas in canvases):
            raise RuntimeError("nobody")

    async with in_process(models(people=EchoPeople(fail_on_nobody))) as running:
        answers = await asyncio.gather(
            *(running.client.post("/pose", content=picture) for picture in (THREE, NOBODY, THREE))
        )
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert is_idle(running)
