"""Small real networks that find people and their poses, behind the real application: as in the library."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hrformer
from hrformer.checkpoints.manifest import MANIFEST, Entry, write_entry
from hrformer.engine.results import Person, rounded_keypoints
from service.app import create_app
from service.settings import Settings
from tests.material import PICTURES, mask_entry, people_entry, pose_entry, saved
from tests.service.conftest import Running, serving

# A quarter shift: on maps of a network that has learned nothing, UDP's Newton steps are of any length.
POSE = pose_entry(decode={"refine": "shift"})
PHOTOS = ["astronaut.jpg", "grace_hopper.jpg", "camera.png"]
EVERYBODY = {"box_threshold": 0.0, "max_people": 6}
QUERY = "box_threshold=0&max_people=6"


def folder_of(folder: Path, *entries: Entry, default: tuple[str, ...] = ()) -> Path:
    """A folder with seeded networks and a manifest that names these for defaults."""
    folder.mkdir(exist_ok=True)
    for entry in entries:
        write_entry(saved(entry, folder), folder / MANIFEST, default=entry.name in default)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, defaults = tmp_path_factory.mktemp("weights"), ("small-pose", "small-people")
    return folder_of(folder, POSE, people_entry(), default=defaults)


@pytest.fixture(scope="module")
async def real(weights: Path) -> AsyncIterator[Running]:
    settings = Settings(weights=weights, threads=1, device="cpu", admin_routes=True)
    async with serving(create_app(settings)) as running:
        yield running


@pytest.fixture
def library(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(weights))


async def asked(real: Running, path: str, name: str) -> Any:
    answer = await real.client.post(path, content=(PICTURES / name).read_bytes())
    assert answer.status_code == 200, answer.text
    return answer.json()


def points(people: Any) -> np.ndarray:
    return np.array([[[k["x"], k["y"], k["score"]] for k in person["keypoints"]] for person in people])


def points_of(people: list[Person]) -> np.ndarray:
    return np.array([rounded_keypoints(person) for person in people])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("flip_test", [False, True])
async def test_people_and_poses_are_those_of_the_library(real: Running, name: str, flip_test: bool) -> None:
    people = hrformer.load("small-pose", device="cpu").pose(PICTURES / name, flip_test=flip_test, **EVERYBODY)
    answer = await asked(real, f"/pose?{QUERY}&flip_test={flip_test}", name)

    assert (answer["boxes"], len(people)) == ("found", 6)
    assert [person["box"] for person in answer["people"]] == [list(person.box) for person in people]
    for score in ("box_score", "score"):
        expected = [getattr(person, score) for person in people]
        assert [person[score] for person in answer["people"]] == pytest.approx(expected, abs=1e-4)
    assert points(answer["people"])[..., :2] == pytest.approx(points_of(people)[..., :2], abs=0.1)
    assert points(answer["people"])[..., 2] == pytest.approx(points_of(people)[..., 2], abs=0.001)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", PHOTOS)
async def test_boxes_are_those_of_the_library(real: Running, name: str) -> None:
    people = hrformer.load("small-people", device="cpu").people(PICTURES / name)
    answer = await asked(real, "/people", name)

    assert [person["box"] for person in answer["people"]] == [list(person.box) for person in people]
    assert [person["score"] for person in answer["people"]] == pytest.approx(
        [person.score for person in people], abs=1e-4
    )


@pytest.mark.parametrize("name", PHOTOS)
async def test_boxes_that_are_given_back_get_the_same_poses(real: Running, name: str) -> None:
    found = (await asked(real, f"/pose?{QUERY}", name))["people"]
    given = (await asked(real, f"/pose?boxes={json.dumps([one['box'] for one in found])}", name))["people"]

    assert points(given)[..., :2] == pytest.approx(points(found)[..., :2], abs=0.1)
    assert points(given)[..., 2] == pytest.approx(points(found)[..., 2], abs=0.001)
    for one, other in zip(found, given, strict=True):
        assert one["box"] == other["box"]
        assert one["score"] == pytest.approx(one["box_score"] * other["score"], abs=2e-4)


async def test_a_crowd_of_pictures_is_searched_as_each_alone(real: Running) -> None:
    alone = [(await asked(real, f"/pose?{QUERY}", name))["people"] for name in PHOTOS]
    together = await asyncio.gather(*(asked(real, f"/pose?{QUERY}", name) for name in PHOTOS * 4))

    for people, answer in zip(alone * 4, together, strict=True):
        boxes = [[person["box"] for person in found] for found in (answer["people"], people)]
        assert np.array(boxes[0]) == pytest.approx(np.array(boxes[1]), abs=0.02)
        assert points(answer["people"])[..., :2] == pytest.approx(points(people)[..., :2], abs=0.1)
    runs, items = (real.metric(f"batch_items_{what}", model="small-people") for what in ("count", "sum"))
    assert items > runs


@pytest.mark.parametrize("path", ["/pose", "/people"])
async def test_what_is_drawn_is_what_is_said(real: Running, path: str) -> None:
    """Whoever is drawn over a large photograph is found as in the small one that the model sees."""
    file = io.BytesIO()
    Image.open(PICTURES / "astronaut.jpg").resize((1600, 1600)).save(file, "JPEG")
    plainly = await real.client.post(f"{path}?{QUERY}&format=coco", content=file.getvalue())
    drawn = await real.client.post(f"{path}?{QUERY}&format=overlay", content=file.getvalue())
    picture = np.asarray(Image.open(io.BytesIO(drawn.content)))

    assert picture.shape == (1600, 1600, 3)
    original = np.asarray(Image.open(file).convert("RGB")).astype(int)
    is_changed = (np.abs(picture - original) > 60).any(axis=2)
    for annotation in plainly.json()["annotations"]:
        x, y, _, height = (round(value) for value in annotation["bbox"])
        left_edge = is_changed[max(y, 0) : y + height, max(x - 2, 0) : x + 3]
        assert left_edge.any(axis=1).mean() > 0.8


async def test_defaults_are_those_that_the_manifest_names(tmp_path: Path) -> None:
    """Without one a task is served by name, as the library and the command line have it."""
    entries = (POSE, mask_entry(), people_entry())
    folder = folder_of(tmp_path, *entries, default=("small-pose",))
    async with serving(create_app(Settings(weights=folder, threads=1, device="cpu"))) as running:
        described = (await running.client.get("/models")).json()["models"]
        assert {one["name"]: one["is_default"] for one in described} == {
            "small-pose": True,
            "small-person": False,
            "small-people": False,
        }
        assert (await asked(running, "/pose", "astronaut.jpg"))["boxes"] == "whole"
        photo = (PICTURES / "astronaut.jpg").read_bytes()
        for path, name in (("/segment", "small-person"), ("/people", "small-people")):
            unnamed = await running.client.post(path, content=photo)
            assert (unnamed.status_code, unnamed.json()["type"]) == (404, "/problems/unknown-model")
            assert f"name one by `model`: there are {name}" in unnamed.json()["detail"]
            assert (await running.client.post(f"{path}?model={name}", content=photo)).status_code == 200


async def test_models_that_the_settings_choose_are_defaults_where_the_manifests_are_not_among_them(
    tmp_path: Path,
) -> None:
    others = (pose_entry("other-pose", decode={"refine": "shift"}), people_entry("other-people"))
    folder = folder_of(tmp_path, POSE, *others, default=("small-pose",))
    names = ("other-people", "other-pose")
    async with serving(
        create_app(Settings(weights=folder, models=names, threads=1, device="cpu"))
    ) as running:
        answer = await asked(running, "/pose", "astronaut.jpg")
        assert (answer["model"], answer["finder"]["model"]) == ("other-pose", "other-people")


async def test_a_finder_is_reloaded_with_the_others(real: Running) -> None:
    before = [{"name": one.name, "version": one.version} for one in real.parts.models]
    answer = await real.client.post("/admin/reload")
    assert (answer.status_code, answer.json()) == (200, {"models": before})
    assert (await asked(real, "/pose", "astronaut.jpg"))["boxes"] == "found"
