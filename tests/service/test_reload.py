"""Models swapped while others serve: what is taken, what is rolled back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hrformer.images.decode import Limits, Picture
from service.canary import Answer, Canary, CanaryDied, read_canary
from service.models import Served
from service.settings import SettingsError, read_settings
from tests.service.conftest import Running, in_process
from tests.service.echo_models import EchoPeople, EchoPose, EchoSegmentation, Gate
from tests.service.pictures import plain

NEW = "fedcba987654"


@asynccontextmanager
async def reloadable(new: EchoPose, **settings: object) -> AsyncIterator[Running]:
    """A service that finds another model at its next reload."""
    models = {"echo-pose": EchoPose()}
    async with in_process(models, admin_routes=True, **settings) as running:
        models["echo-pose"] = new
        yield running


async def version_of(running: Running) -> str:
    return str((await running.client.post("/pose", content=plain())).json()["model_version"])


async def test_new_weights_take_the_place_of_the_old() -> None:
    async with reloadable(EchoPose(version=NEW, shift=7)) as running:
        answer = await running.client.post("/admin/reload")
        assert answer.json() == {"models": [{"name": "echo-pose", "version": NEW}]}
        pose = (await running.client.post("/pose", content=plain())).json()
        assert (pose["model_version"], pose["people"][0]["keypoints"][0]["x"]) == (NEW, 107.0)
        assert running.metric("reloads_total", outcome="swapped") == 1


async def test_only_the_model_that_serves_has_an_info_series() -> None:
    async with reloadable(EchoPose(version=NEW)) as running:
        await running.client.post("/admin/reload")
        page = (await running.client.get("/metrics")).text
        assert [line for line in page.splitlines() if line.startswith("hrformer_model_info{")] == [
            f'hrformer_model_info{{model="echo-pose",precision="float32",variant="tiny",version="{NEW}"}} 1.0'
        ]


async def test_a_request_begun_with_the_old_model_is_finished_with_it() -> None:
    gate = Gate()
    models = {"echo-pose": EchoPose(gate)}
    async with in_process(models, admin_routes=True) as running:
        asking = [asyncio.create_task(running.client.post("/pose", content=plain()))]
        await gate.entered()
        models["echo-pose"] = EchoPose(version=NEW, shift=7)
        reloading = asyncio.create_task(running.client.post("/admin/reload"))
        gate.open()  # the canary waits for the model's thread, as every batch does
        await reloading
        asking.append(asyncio.create_task(running.client.post("/pose", content=plain())))
        answers = [(await one).json() for one in asking]
        found = [(one["model_version"], one["people"][0]["keypoints"][0]["x"]) for one in answers]
        assert found == [("0123456789ab", 100.0), (NEW, 107.0)]


def fail(_: Tensor) -> None:
    raise ValueError("/secret/path is no weight file")


def break_down(_: Tensor) -> None:
    raise FloatingPointError


BAD = {
    "it cannot be loaded": (EchoPose(before_warm=fail, version=NEW), "failed"),
    "it cannot be run": (EchoPose(break_down, version=NEW), "failed"),
    "its answer is not finite": (EchoPose(version=NEW, shift=float("nan")), "rolled_back"),
    "the same weights answer otherwise": (EchoPose(shift=0.2), "rolled_back"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_model_that_does_not_answer_as_it_should_is_rolled_back(name: str) -> None:
    model, outcome = BAD[name]
    async with reloadable(model) as running:
        answer = await running.client.post("/admin/reload")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-reloaded")
        assert "secret" not in answer.text
        assert running.metric("reloads_total", outcome=outcome) == 1
        assert await version_of(running) == "0123456789ab"
        assert (await running.client.get("/readyz")).status_code == 200


async def test_all_models_are_swapped_or_none() -> None:
    models = {"echo-pose": EchoPose(), "echo-parsing": EchoSegmentation()}
    async with in_process(models, admin_routes=True) as running:
        models |= {"echo-pose": EchoPose(version=NEW), "echo-parsing": EchoSegmentation(fail)}
        assert (await running.client.post("/admin/reload")).status_code == 409
        assert await version_of(running) == "0123456789ab"


@pytest.mark.parametrize(
    ("new", "status"),
    [
        (EchoPeople(), 200),
        (EchoPeople(shift=0.2), 409),  # the same weights
        (EchoPeople(version=NEW, shift=0.2), 200),
        (EchoPeople(version=NEW, shift=float("nan")), 409),
        (EchoPeople(fail), 409),
    ],
)
async def test_a_model_that_finds_people_answers_the_canary_too(new: EchoPeople, status: int) -> None:
    models = {"echo-pose": EchoPose(), "echo-people": EchoPeople()}
    async with in_process(models, admin_routes=True) as running:
        models["echo-people"] = new
        assert (await running.client.post("/admin/reload")).status_code == status
        answer = (await running.client.post("/pose", content=plain())).json()
        assert answer["finder"]["model_version"] == (new.entry.version if status == 200 else "0123456789ab")


async def test_models_can_be_added_and_taken_away() -> None:
    models = {"first": EchoPose(name="first")}
    async with in_process(models, admin_routes=True) as running:
        await running.client.post("/pose", content=plain())
        models["second"] = EchoPose(name="second")
        del models["first"]
        assert (await running.client.post("/admin/reload")).status_code == 200
        assert (await running.client.post("/pose", content=plain())).json()["model"] == "second"
        page = (await running.client.get("/metrics")).text
        assert 'hrformer_queue_items{model="second"}' in page
        assert 'hrformer_queue_items{model="first"}' not in page


async def test_one_reload_goes_on_at_a_time() -> None:
    gate = Gate()
    async with reloadable(EchoPose(before_warm=gate, version=NEW)) as running:
        first = asyncio.create_task(running.client.post("/admin/reload"))
        await gate.entered()
        assert (await running.client.post("/admin/reload")).status_code == 409
        gate.open()
        assert (await first).status_code == 200


async def test_the_service_answers_while_models_are_loaded() -> None:
    gate = Gate()
    async with reloadable(EchoPose(before_warm=gate, version=NEW)) as running:
        reloading = asyncio.create_task(running.client.post("/admin/reload"))
        await gate.entered()
        assert await version_of(running) == "0123456789ab"
        gate.open()
        await reloading
        assert await version_of(running) == NEW


async def test_there_is_no_admin_route_unless_a_setting_says_so() -> None:
    async with in_process() as running:
        assert (await running.client.post("/admin/reload")).status_code == 404


async def test_the_admin_route_asks_for_the_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("secret\n")
    async with reloadable(EchoPose(version=NEW), api_keys_file=tmp_path / "keys") as running:
        assert (await running.client.post("/admin/reload")).status_code == 401
        allowed = await running.client.post("/admin/reload", headers={"X-API-Key": "secret"})
        assert allowed.status_code == 200


def test_the_admin_route_needs_keys_on_other_hosts() -> None:
    with pytest.raises(SettingsError, match="needs api_keys_file"):
        read_settings({"host": "0.0.0.0", "admin_routes": "true"})


PICTURE = Picture(np.zeros((100, 200, 3), np.uint8), 200, 100)
POINTS = np.random.default_rng(0).uniform(0, 1, (17, 3)).astype(np.float32)
MASK = np.zeros((100, 200), np.uint8)


def changed(answer: Answer, *, rows: int, by: float) -> Answer:
    other = answer.copy()
    other[:rows] += answer.dtype.type(by)
    return other


@pytest.mark.parametrize(
    ("new", "is_same", "is_taken"),
    [
        (POINTS, True, True),
        (changed(POINTS, rows=17, by=0.0005), True, True),
        (changed(POINTS, rows=1, by=0.11), True, False),
        (changed(POINTS, rows=17, by=14), False, True),  # 19.8 px, less than a tenth of the longer side
        (changed(POINTS, rows=8, by=500), False, True),
        (changed(POINTS, rows=9, by=500), False, False),
        (MASK, True, True),
        (changed(MASK, rows=1, by=1), True, False),
        (changed(MASK, rows=50, by=1), False, True),
        (changed(MASK, rows=51, by=1), False, False),
        (MASK[:, 1:], False, False),
    ],
)
def test_other_weights_have_to_agree_on_a_share_of_the_canary(
    new: Answer, is_same: bool, is_taken: bool
) -> None:
    old = MASK if new.dtype == np.uint8 else POINTS
    canary = Canary(PICTURE, min_agreement=0.5)
    if is_taken:
        canary.check(old, new, is_same=is_same)
        return
    with pytest.raises(CanaryDied):
        canary.check(old, new, is_same=is_same)


def people(*found: tuple[float, float]) -> Answer:
    """What a canary keeps of people with a left edge and a score each."""
    answer = np.zeros((10, 5), np.float32)
    for row, (left, score) in zip(answer, found, strict=False):
        row[:] = left, 10, left + 30, 90, score
    return answer


@pytest.mark.parametrize(
    ("new", "is_same", "is_taken"),
    [
        (people((10, 0.9), (60, 0.9), (5, 0.2)), True, True),
        (people((60, 0.9), (10, 0.9), (5, 0.2)), True, True),  # as sure, and in another order
        (people((10, 0.9), (60, 0.9), (150, 0.2)), True, True),  # one who is hardly there
        (people((10.11, 0.9), (60, 0.9), (5, 0.2)), True, False),
        (people((10, 0.91), (60, 0.9), (5, 0.2)), True, False),
        (people((10, 0.9), (60, 0.9)), True, False),
        (people((29, 0.4), (60, 0.3)), False, True),
        (people((29, 0.4), (150, 0.3)), False, True),
        (people((31, 0.4), (150, 0.3)), False, False),
        (people((10, 0.2), (60, 0.2)), False, False),
    ],
)
def test_other_weights_have_to_find_a_share_of_the_people(new: Answer, is_same: bool, is_taken: bool) -> None:
    old = people((10, 0.9), (60, 0.9), (5, 0.2))
    canary = Canary(PICTURE, min_agreement=0.5)
    if is_taken:
        canary.check(old, new, is_same=is_same)
        return
    with pytest.raises(CanaryDied):
        canary.check(old, new, is_same=is_same)


def test_where_nobody_was_found_other_weights_may_find_anybody() -> None:
    Canary(PICTURE, min_agreement=1.0).check(people(), people((10, 0.9)), is_same=False)


def test_without_a_picture_of_ones_own_other_weights_need_not_agree() -> None:
    canary = read_canary(None, Limits(), 0.5)
    canary.check(POINTS, changed(POINTS, rows=17, by=1e6), is_same=False)
    assert np.array_equal(canary.picture.pixels, read_canary(None, Limits(), 0.5).picture.pixels)


def test_the_canary_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "canary.png").write_bytes(plain(width=50))
    canary = read_canary(tmp_path / "canary.png", Limits(), 0.7)
    assert (canary.picture.width, canary.min_agreement) == (50, 0.7)


def test_logits_that_are_no_numbers_are_found() -> None:
    class Broken(EchoSegmentation):
        def run(self, canvases: Tensor) -> Tensor:
            return torch.full((1, 10, 2, 2), float("nan"))

    with pytest.raises(CanaryDied, match="not finite"):
        Canary(PICTURE, 0.0).answer(Served(Broken(), "float32"))
