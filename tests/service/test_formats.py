"""Every form of an answer, read back by something that is not ours."""

import io
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import orjson
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from hrformer.geometry.palettes import PARSING, numbered_palette
from hrformer.geometry.skeletons import JOINTS
from hrformer.modeling.config import SegmentationHeadConfig
from service.answers import SegmentResult
from service.formats.cvat import segment_cvat
from service.formats.json import segment_json
from service.formats.labelstudio import packed_runs, segment_labelstudio
from service.formats.png import segment_png
from service.formats.rle import segment_rle
from service.models import Served
from tests.service.conftest import Running
from tests.service.echo_models import EchoSegmentation, entry
from tests.service.pictures import plain

# pycocotools 2.0.11 has not followed numpy 2 here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PICTURE = plain((100, 150, 200), width=40, height=30)  # class 3, keypoints at (100, 150) of score 0.78
MASK = np.random.default_rng(7).integers(0, 4, (33, 47)).astype(np.uint8).repeat(3, 0).repeat(2, 1)
RESULT = SegmentResult(Served(EchoSegmentation(), "float32"), "id", MASK, None)


async def asked(service: Running, path: str, form: str, **options: Any) -> httpx.Response:
    answer = await service.client.post(path, params={"format": form, **options}, content=PICTURE)
    assert answer.status_code == 200, answer.text
    return answer


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


async def test_a_mask_is_a_palette_png_of_the_size_of_the_picture(service: Running) -> None:
    mask = picture(await service.client.post("/segment", content=PICTURE))
    assert (mask.mode, mask.size) == ("P", (40, 30))
    assert np.all(np.asarray(mask) == 3)
    assert mask.getpalette()[9:12] == list(PARSING[3][1])


def test_the_pixels_of_a_png_are_the_classes() -> None:
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(segment_png(RESULT)))), MASK)


async def test_a_mask_as_json_has_size_areas_and_run_lengths(service: Running) -> None:
    answer = (await asked(service, "/segment", "json")).json()
    assert answer["image"] == {"width": 40, "height": 30}
    [one] = answer["classes"]
    assert (one["index"], one["name"], one["area"]) == (3, "upper", 1200)
    assert coco_mask.decode(one["run_lengths"]).sum() == 1200


def test_run_lengths_are_those_of_pycocotools() -> None:
    for one in orjson.loads(segment_rle(RESULT)):
        assert np.array_equal(coco_mask.decode(one), one["index"] == MASK)
    assert {one["index"] for one in orjson.loads(segment_json(RESULT))["classes"]} == {0, 1, 2, 3}


@pytest.mark.parametrize("path", ["/pose", "/segment"])
async def test_an_overlay_is_a_drawn_picture_of_the_same_size(service: Running, path: str) -> None:
    drawn = picture(await asked(service, path, "overlay"))
    assert (drawn.mode, drawn.size) == ("RGB", (40, 30))
    assert not np.array_equal(np.asarray(drawn), np.asarray(Image.open(io.BytesIO(PICTURE))))


async def test_png_of_a_pose_is_the_overlay(service: Running) -> None:
    assert (await asked(service, "/pose", "png")).content == (
        await asked(service, "/pose", "overlay")
    ).content


async def test_a_pose_as_arrays(service: Running) -> None:
    answer = await asked(service, "/pose", "npz", boxes="[[0,0,9,9],[5,5,20,20]]")
    arrays = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert arrays["boxes"].tolist() == [[0, 0, 9, 9], [5, 5, 20, 20]]
    assert arrays["keypoints"].shape == (2, 17, 3)
    assert arrays["keypoints"][0, 0].tolist() == pytest.approx([100, 150, 200 / 255])
    assert tuple(arrays["joints"]) == JOINTS


async def test_no_people_as_arrays(service: Running) -> None:
    answer = await asked(service, "/pose", "npz", boxes="[]")
    assert np.load(io.BytesIO(answer.content))["keypoints"].shape == (0, 17, 3)


async def test_a_mask_as_arrays(service: Running) -> None:
    arrays = np.load(io.BytesIO((await asked(service, "/segment", "npz")).content), allow_pickle=False)
    assert (arrays["class_map"].shape, arrays["classes"][3], arrays["colours"].shape) == (
        (30, 40),
        "upper",
        (10, 3),
    )


def loaded_by_pycocotools(answer: httpx.Response) -> COCO:
    coco = COCO()
    coco.dataset = answer.json()
    coco.createIndex()
    return coco


async def test_a_pose_as_coco_is_read_by_pycocotools(
    service: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = loaded_by_pycocotools(await asked(service, "/pose", "coco"))
    [annotation] = coco.loadAnns(coco.getAnnIds())
    assert annotation["keypoints"][:3] == [100, 150, 2]
    assert (annotation["num_keypoints"], len(annotation["keypoints"])) == (17, 51)
    assert coco.loadCats([1])[0]["skeleton"][0] == [16, 14]


async def test_joints_that_are_not_visible_are_not_labelled_in_coco(service: Running) -> None:
    answer = await asked(service, "/pose", "coco", keypoint_threshold="0.9")
    [annotation] = answer.json()["annotations"]
    assert (annotation["num_keypoints"], annotation["keypoints"]) == (0, [0] * 51)


async def test_a_mask_as_coco_is_read_by_pycocotools(
    service: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = loaded_by_pycocotools(await asked(service, "/segment", "coco"))
    [annotation] = coco.loadAnns(coco.getAnnIds())
    assert coco.annToMask(annotation).sum() == annotation["area"] == 1200
    assert (annotation["bbox"], annotation["category_id"]) == ([0, 0, 40, 30], 3)


async def test_a_pose_as_cvat(service: Running) -> None:
    root = ET.fromstring((await asked(service, "/pose", "cvat")).content)
    image = root.find("image")
    assert image is not None
    assert (image.get("width"), image.get("height")) == ("40", "30")
    points = image.findall("skeleton/points")
    assert [point.get("label") for point in points] == list(JOINTS)
    assert (points[0].get("points"), points[0].get("outside")) == ("100.00,150.00", "0")


def test_masks_as_cvat_cover_the_same_pixels() -> None:
    for mask in ET.fromstring(segment_cvat(RESULT)).iter("mask"):
        index = [name for name, _ in PARSING].index(mask.get("label", ""))
        runs = [int(run) for run in mask.get("rle", "").split(",")]
        pixels = np.repeat(np.arange(len(runs)) % 2, runs).reshape(int(mask.get("height", 0)), -1)
        top, left = int(mask.get("top", 0)), int(mask.get("left", 0))
        expected = np.zeros(MASK.shape, int)
        expected[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        assert np.array_equal(expected, index == MASK)


async def test_a_pose_as_a_prediction_for_label_studio(service: Running) -> None:
    answer = (await asked(service, "/pose", "labelstudio", boxes="[[4,3,20,15]]")).json()
    box, *points = answer["result"]
    assert box["value"] == {
        "x": 10,
        "y": 10,
        "width": 50,
        "height": 50,
        "rotation": 0,
        "rectanglelabels": ["person"],
    }
    assert (len(points), points[0]["value"]["x"], points[0]["value"]["keypointlabels"]) == (17, 250, ["nose"])
    assert {region["original_width"] for region in answer["result"]} == {40}


def unpacked_runs(data: bytes) -> np.ndarray:
    """Label Studio's own reading: size, word size and four widths, then runs or single words."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    size, word = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < size:
        is_run, width = take(1), widths[take(2)]
        count = take(width) + 1
        values += [take(word)] * count if is_run else [take(word) for _ in range(count)]
    return np.array(values)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (300, 200)])
def test_runs_packed_for_label_studio_unpack_to_the_mask(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(3).random(shape) > 0.5
    for mask in (random, np.zeros(shape, bool), np.ones(shape, bool)):
        assert np.array_equal(unpacked_runs(packed_runs(mask)), np.repeat(mask.ravel() * 255, 4))


def test_masks_for_label_studio_leave_the_background_out() -> None:
    regions = orjson.loads(segment_labelstudio(RESULT))["result"]
    assert [region["value"]["brushlabels"] for region in regions] == [["skin"], ["hair"], ["upper"]]


@pytest.mark.parametrize("form", ["rle", "jpeg", ""])
async def test_a_form_that_a_route_has_not_is_refused(service: Running, form: str) -> None:
    answer = await service.client.post("/pose", params={"format": form}, content=PICTURE)
    assert (answer.status_code, answer.json()["field"]) == (422, "format")


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/pose", "", "application/json"),
        ("/pose", "*/*", "application/json"),
        ("/pose", "text/html, */*;q=0.8", "application/json"),
        ("/pose", "image/png", "image/png"),
        ("/pose", "image/*", "image/png"),
        ("/pose", "application/json;q=0.5, image/png", "image/png"),
        ("/pose", "application/json;q=0.5, image/png;q=0.4", "application/json"),
        ("/pose", "application/json;q=0, */*", "image/png"),
        ("/pose", "application/xml", "application/xml"),
        ("/pose", "application/x-npz", "application/x-npz"),
        ("/pose", "nonsense", "application/json"),
        ("/pose", "IMAGE/PNG", "image/png"),
        ("/segment", "", "image/png"),
        ("/segment", "*/*", "image/png"),
        ("/segment", "application/json", "application/json"),
        ("/segment", "image/*;q=0.1, application/*", "application/json"),
    ],
)
async def test_accept_chooses_the_form(service: Running, path: str, accept: str, media_type: str) -> None:
    answer = await service.client.post(path, content=PICTURE, headers={"Accept": accept})
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize("accept", ["image/jpeg", "text/html", "*/*;q=0", "image/png;q=0, application/pdf"])
async def test_what_cannot_be_accepted_is_406(service: Running, accept: str) -> None:
    answer = await service.client.post("/pose", content=PICTURE, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-acceptable")


async def test_format_goes_before_accept(service: Running) -> None:
    answer = await service.client.post("/pose?format=json", content=PICTURE, headers={"Accept": "image/png"})
    assert answer.headers["content-type"] == "application/json"


def test_classes_without_names_are_numbered_and_coloured_apart() -> None:
    palette = numbered_palette(150)
    assert len({colour for _, colour in palette}) == 150
    assert palette[1] == ("class_1", (128, 0, 0))
    assert all(name != other for (name, _), (other, _) in pairwise(palette))


def test_a_model_with_unknown_labels_gets_numbered_classes() -> None:
    model = EchoSegmentation()
    model.entry = entry("other", "segmentation", "ade20k", SegmentationHeadConfig(classes=150))
    assert len(Served(model, "float32").palette) == 150
