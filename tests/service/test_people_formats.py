"""Every form of an answer about people who were found, read back by something that is not ours."""

import io
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from service.formats.table import PEOPLE_FORMATS, POSE_FORMATS
from tests.service.conftest import Running, in_process
from tests.service.echo_models import EchoPeople, EchoPose
from tests.service.pictures import plain

PICTURE = plain((20, 150, 200), width=40, height=30)  # two people, of 0.95 and 0.85


@pytest.fixture(scope="module")
async def finding() -> AsyncIterator[Running]:
    async with in_process({"echo-pose": EchoPose(), "echo-people": EchoPeople()}) as running:
        yield running


async def asked(finding: Running, path: str, form: str, picture: bytes = PICTURE) -> httpx.Response:
    answer = await finding.client.post(path, params={"format": form}, content=picture)
    assert answer.status_code == 200, answer.text
    return answer


async def test_boxes_as_arrays(finding: Running) -> None:
    arrays = np.load(io.BytesIO((await asked(finding, "/people", "npz")).content), allow_pickle=False)
    assert sorted(arrays) == ["boxes", "scores"]
    assert arrays["boxes"].tolist() == [[0, 3, 6, 9], [2, 3, 6, 9]]
    assert arrays["scores"].tolist() == pytest.approx([0.95, 0.85])


async def test_scores_of_boxes_are_among_the_arrays_of_poses(finding: Running) -> None:
    arrays = np.load(io.BytesIO((await asked(finding, "/pose", "npz")).content), allow_pickle=False)
    assert arrays["box_scores"].tolist() == pytest.approx([0.95, 0.85])


async def test_boxes_as_coco_are_read_by_pycocotools(
    finding: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = COCO()
    coco.dataset = (await asked(finding, "/people", "coco")).json()
    coco.createIndex()
    found = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["person"])))
    assert [(one["bbox"], one["score"], one["area"]) for one in found] == [
        ([0, 3, 6, 9], 0.95, 54),
        ([2, 3, 6, 9], 0.85, 54),
    ]
    capsys.readouterr()


async def test_boxes_for_cvat(finding: Running) -> None:
    root = ET.fromstring((await asked(finding, "/people", "cvat")).content)
    boxes = root.findall("image/box")
    assert [(box.get("label"), box.get("xtl"), box.get("ybr")) for box in boxes] == [
        ("person", "0.00", "12.00"),
        ("person", "2.00", "12.00"),
    ]
    assert root.find("image/skeleton") is None


async def test_boxes_for_label_studio(finding: Running) -> None:
    prediction = (await asked(finding, "/people", "labelstudio")).json()
    assert prediction["model_version"] == "echo-people 0123456789ab"
    first, second = prediction["result"]
    assert (first["type"], first["from_name"], first["score"]) == ("rectanglelabels", "box", 0.95)
    assert second["value"] == {
        "x": 5.0,
        "y": 10.0,
        "width": 15.0,
        "height": 30.0,
        "rotation": 0,
        "rectanglelabels": ["person"],
    }


@pytest.mark.parametrize("form", ["overlay", "png"])
async def test_boxes_are_drawn_over_the_picture(finding: Running, form: str) -> None:
    drawn = Image.open(io.BytesIO((await asked(finding, "/people", form)).content))
    assert (drawn.mode, drawn.size) == ("RGB", (40, 30))
    changed = (np.asarray(drawn) != (20, 150, 200)).any(axis=2)
    assert changed[3:12, 0].all()
    assert not changed[16:].any()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("image/png", "image/png"), ("application/xml", "application/xml"), ("*/*", "application/json")],
)
async def test_the_form_is_what_the_client_accepts(finding: Running, accept: str, media_type: str) -> None:
    answer = await finding.client.post("/people", content=PICTURE, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)


@pytest.mark.parametrize(
    ("path", "form"),
    [("/people", form) for form in PEOPLE_FORMATS] + [("/pose", form) for form in POSE_FORMATS],
)
async def test_a_picture_without_people_has_every_form(finding: Running, path: str, form: str) -> None:
    answer = await asked(finding, path, form, plain((0, 0, 0)))
    if answer.headers["content-type"] == "image/png":
        assert not np.asarray(Image.open(io.BytesIO(answer.content))).any()
