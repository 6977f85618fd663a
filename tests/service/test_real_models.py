"""Small real networks behind the real application, loaded from a manifest as any model is."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hrformer.checkpoints.manifest import MANIFEST, read_manifest, write_entry
from hrformer.engine.predictor import Predictor, load_engine
from hrformer.images.decode import decode
from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT, PICTURES, mask_entry, pose_entry, saved
from tests.service.conftest import Running, serving

BOXES = [[150.0, 20.0, 220.0, 400.0], [-30.0, 100.0, 200.0, 200.0], [400.5, 300.25, 500.0, 700.0]]
PHOTO = ASTRONAUT.read_bytes()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest and two small networks that have learned nothing."""
    folder = tmp_path_factory.mktemp("weights")
    for entry in (pose_entry(), mask_entry()):
        write_entry(saved(entry, folder), folder / MANIFEST, default=True)
    return folder


@pytest.fixture(scope="session")
async def real(weights: Path) -> AsyncIterator[Running]:
    async with serving(create_app(Settings(weights=weights, threads=1))) as running:
        yield running


def predictor(weights: Path, name: str) -> Predictor:
    return Predictor(load_engine(read_manifest(weights / MANIFEST)[name]))


def points_of(answer: Any) -> np.ndarray:
    return np.array(
        [[[k["x"], k["y"], k["score"]] for k in person["keypoints"]] for person in answer.json()["people"]]
    )


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("boxes", [None, BOXES])
async def test_poses_are_those_of_the_library(
    real: Running, weights: Path, boxes: Any, flip_test: bool
) -> None:
    options = {"image": base64.b64encode(PHOTO).decode(), "boxes": boxes, "flip_test": flip_test}
    answer = await real.client.post("/pose", json=options)
    people = predictor(weights, "small-pose").pose(PHOTO, boxes, flip_test=flip_test)
    expected = np.array([person.keypoints for person in people])
    assert points_of(answer) == pytest.approx(
        expected, abs=0.006
    )  # rounded to 0.01 px, and to 0.0001 of a score
    assert [p["score"] for p in answer.json()["people"]] == pytest.approx([p.score for p in people], abs=1e-4)


@pytest.mark.parametrize("name", ["astronaut.jpg", "grace_hopper.jpg", "camera.png"])
async def test_masks_are_those_of_the_library(real: Running, weights: Path, name: str) -> None:
    photo = (PICTURES / name).read_bytes()
    answer = await real.client.post("/segment", content=photo)
    mask = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.array_equal(mask, predictor(weights, "small-person").segment(photo))
    assert mask.shape == decode(photo).pixels.shape[:2]


async def test_the_answer_is_the_same_whatever_else_is_in_the_batch(real: Running) -> None:
    alone = points_of(await real.client.post("/pose", content=PHOTO))
    others = [(PICTURES / name).read_bytes() for name in ("grace_hopper.jpg", "camera.png")] * 5
    answers = await asyncio.gather(*(real.client.post("/pose", content=photo) for photo in [PHOTO, *others]))
    together = points_of(answers[0])
    assert together[..., :2] == pytest.approx(alone[..., :2], abs=0.1)
    assert together[..., 2] == pytest.approx(alone[..., 2], abs=0.001)
    assert real.metric("batch_items_sum", model="small-pose") > real.metric(
        "batch_items_count", model="small-pose"
    )


@pytest.mark.parametrize("path", ["/pose?format=overlay", "/segment?format=overlay"])
async def test_an_overlay_has_the_full_size_of_a_large_photograph(real: Running, path: str) -> None:
    file = io.BytesIO()
    Image.open(ASTRONAUT).resize((1600, 1600)).save(file, "JPEG")
    answer = await real.client.post(path, content=file.getvalue())
    assert Image.open(io.BytesIO(answer.content)).size == (1600, 1600)


@pytest.mark.parametrize(
    "box", [[0, 0, 1e-3, 1e-3], [-1e30, -1e30, 2e30, 2e30], [511.999, 0, 1e9, 1e-6], [3, 3, 1e30, 1]]
)
async def test_no_box_is_a_defect(real: Running, box: list[float]) -> None:
    answer = await real.client.post("/pose", params={"boxes": str([box])}, content=PHOTO)
    assert answer.status_code == 200, answer.text
    assert np.isfinite(points_of(answer)).all()


async def test_what_is_served_is_described(real: Running, weights: Path) -> None:
    entries = read_manifest(weights / MANIFEST)
    models = (await real.client.get("/models")).json()["models"]
    assert {model["name"]: model["sha256"] for model in models} == {
        e.name: e.sha256 for e in entries.values()
    }
    assert {model["precision"] for model in models} == {
        "bfloat16" if torch.cuda.is_available() else "float32"
    }


async def test_models_can_be_chosen_by_the_settings(weights: Path) -> None:
    async with serving(create_app(Settings(weights=weights, models="small-person", threads=1))) as running:
        parts: Parts = running.parts
        assert [served.name for served in parts.models] == ["small-person"]


@pytest.mark.parametrize("settings", [{"models": "small-poze"}, {"models": "small-pose", "device": "tpu"}])
async def test_what_cannot_be_loaded_stops_the_service(weights: Path, settings: dict[str, str]) -> None:
    async with serving(create_app(Settings(weights=weights, **settings)), until_started=False) as running:
        await asyncio.wait_for(running.parts.lifecycle.stop.wait(), 30)
        assert (await running.client.get("/readyz")).json()["status"] == "failed"


@pytest.mark.skipif(
    not (REPOSITORY / "weights" / MANIFEST).is_file(), reason="weights/manifest.toml is not there"
)
async def test_the_weights_that_come_with_the_service_see_a_person() -> None:
    async with serving(create_app(Settings(threads=1))) as running:
        answer = await running.client.post("/pose?boxes=whole", content=PHOTO)
        nose = answer.json()["people"][0]["keypoints"][0]
        assert 180 < nose["x"] < 270, nose  # the face of the astronaut
        assert 80 < nose["y"] < 180, nose
        mask = await running.client.post("/segment?format=json", content=PHOTO)
        areas = {one["name"]: one["area"] for one in mask.json()["classes"]}
        assert 0.2 < 1 - areas["background"] / 512**2 < 0.9, areas
