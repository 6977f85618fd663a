"""Boxes to crops, and keypoints back to the picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hrformer.engine.pose import BadBox, PoseCoding, PoseEngine, check_boxes, whole_box
from hrformer.engine.predictor import Predictor
from hrformer.images.decode import Picture, decode
from hrformer.modeling.variants import pose
from tests.engine.stand_ins import random_picture, spot, spot_predictor
from tests.material import ASTRONAUT, pose_entry, seeded, shallow, shallow_pose
from tests.strategies import quick


@pytest.fixture(scope="module")
def engine() -> PoseEngine:
    return PoseEngine(seeded(shallow_pose()), pose_entry(), device="cpu")


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("box", [None, [60.0, 20, 150, 200], [-80.0, -50, 300, 400], [110, 90, 60, 50]])
def test_a_keypoint_comes_back_to_its_place_in_the_picture(box: list[float] | None, udp: bool) -> None:
    picture = spot(300, 240, x=140.3, y=110.6, sigma_px=10)
    (person,) = spot_predictor(udp=udp).pose(picture, None if box is None else [box])

    # UDP is exact but for the noise of 8 bits; a plain quarter shift is within half a heatmap pixel,
    # which is 2 crop pixels, and a crop shows at most 400 px on 128.
    tolerance_px = 1.0 if udp else 7.0
    np.testing.assert_allclose(person.keypoints[:, :2], [[140.3, 110.6]] * 17, atol=tolerance_px)


@quick
@given(st.floats(20, 280), st.floats(20, 220))
def test_a_keypoint_comes_back_from_anywhere(x: float, y: float) -> None:
    (person,) = spot_predictor(udp=True).pose(spot(300, 240, x, y, sigma_px=10))

    np.testing.assert_allclose(person.keypoints[0, :2], [x, y], atol=1.5)


def test_a_flip_test_puts_a_keypoint_at_the_same_place() -> None:
    (person,) = spot_predictor(udp=True).pose(spot(300, 240, 90.0, 110.0, sigma_px=10), flip_test=True)

    np.testing.assert_allclose(person.keypoints[0, :2], [90, 110], atol=1.0)


BOXES = [[[0.0, 0.0, 512.0, 512.0]], [[100.0, 30.0, 250.0, 420.0]], [[-30.0, 200.0, 400.0, 500.0]]]


@pytest.mark.parametrize("boxes", BOXES)
def test_a_picture_decoded_small_gives_the_crop_of_the_whole_one(
    engine: PoseEngine, boxes: list[list[float]]
) -> None:
    data = ASTRONAUT.read_bytes()
    shrink = engine.shrink(512, 512, boxes)
    small, small_matrix = engine.prepare(decode(data, shrink=shrink), boxes)
    whole, matrix = engine.prepare(decode(data), boxes)

    assert shrink > 1
    torch.testing.assert_close(small_matrix, matrix, rtol=1e-4, atol=1e-2)
    assert (small.float() - whole.float()).abs().mean() < 2.5  # grey levels


@pytest.mark.parametrize("shrink", [2, 4, 8])
@pytest.mark.parametrize("udp", [True, False])
def test_a_keypoint_comes_back_from_a_picture_decoded_small(shrink: int, udp: bool) -> None:
    whole = spot(800, 640, x=400.0, y=300.0, sigma_px=40)
    small = whole.reshape(640 // shrink, shrink, 800 // shrink, shrink, 3).mean(axis=(1, 3))
    picture = Picture(small.round().astype(np.uint8), width=800, height=640)
    engine = spot_predictor(udp=udp).engine
    assert isinstance(engine, PoseEngine)
    boxes = [whole_box(800, 640)]
    crops, matrices = engine.prepare(picture, boxes)
    (person,) = engine.finish(engine.run(crops), matrices, boxes)

    # A crop pixel is 10 px of the picture here; plain decoding is within half a heatmap pixel of four.
    np.testing.assert_allclose(person.keypoints[0, :2], [400, 300], atol=3 if udp else 20)


@pytest.mark.parametrize(
    ("width", "height", "boxes", "expected"),
    [
        (64, 64, None, 1),
        (100, 100, None, 1),  # the crop is 125 px wide: less than twice 64
        (103, 103, None, 2),
        (4000, 3000, None, 8),
        (4000, 3000, [], 8),
        (4000, 3000, [[10, 10, 40, 40]], 1),
        (4000, 3000, [[0, 0, 4000, 3000], [10, 10, 40, 40]], 1),  # the smallest box decides
        (4000, 3000, [[0, 0, 210, 100], [0, 0, 4000, 3000]], 4),
    ],
)
def test_a_picture_is_decoded_no_smaller_than_its_crops_need(
    engine: PoseEngine, width: int, height: int, boxes: list[list[float]] | None, expected: int
) -> None:
    assert engine.shrink(width, height, boxes) == expected


def test_a_box_that_leaves_the_picture_is_clipped_for_the_crop(engine: PoseEngine) -> None:
    picture = Picture(random_picture(100, 80), width=100, height=80)
    crops, _ = engine.prepare(picture, [[-50, -20, 120, 60], [0, 0, 70, 40]])

    assert torch.equal(crops[0], crops[1])


def test_a_box_that_leaves_the_picture_is_answered_as_given(engine: PoseEngine) -> None:
    (person,) = Predictor(engine).pose(random_picture(100, 80), [[-50, -20, 120, 60]])

    assert person.box == (-50, -20, 120, 60)


def test_without_boxes_the_whole_picture_is_one(engine: PoseEngine) -> None:
    (person,) = Predictor(engine).pose(random_picture(100, 80))

    assert person.box == (0, 0, 100, 80)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0, 0, 10], "box 1 is .*expected four finite numbers"),
        ([0, 0, 10, NAN], "box 1 is .*expected four finite numbers"),
        ([INF, 0, 10, 10], "box 1 is .*expected four finite numbers"),
        ([10**400, 0, 10, 10], "box 1 is .*expected four finite numbers"),
        (["0", 0, 10, 10], "box 1 is .*expected four finite numbers"),
        (7, "box 1 is 7; expected four finite numbers"),
        ([0, 0, 0, 10], "box 1 is 0 by 10 px; expected a positive width and height"),
        ([0, 0, 10, -3], "box 1 is 10 by -3 px"),
        ([640, 0, 10, 10], "box 1 lies outside the image: x from 640 to 650.*640 px wide"),
        ([-20, 0, 20, 10], "box 1 lies outside the image: x from -20 to 0"),
        ([0, 480, 10, 10], "box 1 lies outside the image"),
        ([0, -10, 10, 10], "box 1 lies outside the image"),
    ],
)
def test_a_box_that_shows_nothing_is_refused_with_its_index(box: list[float], message: str) -> None:
    with pytest.raises(BadBox, match=message) as caught:
        check_boxes([[0, 0, 640, 480], box], 640, 480)

    assert caught.value.index == 1


@pytest.mark.parametrize("box", [[639, 479, 5, 5], [-5, -5, 6, 6], [0, 0, 1e-3, 1e-3]])
def test_a_box_with_a_bit_of_the_image_is_accepted(box: list[float]) -> None:
    check_boxes([box], 640, 480)


@pytest.mark.parametrize("boxes", [[[0, 0, NAN, 10]], [[900, 0, 10, 10]], [[0, 0, 10]]])
@pytest.mark.parametrize("form", ["bytes", "array", "pil"])
def test_a_bad_box_is_named_whatever_the_image_comes_as(
    engine: PoseEngine, boxes: list[list[float]], form: str
) -> None:
    image = {
        "bytes": ASTRONAUT.read_bytes(),
        "array": random_picture(512, 512),
        "pil": Image.fromarray(random_picture(512, 512)),
    }[form]
    with pytest.raises(BadBox, match="box 0"):
        Predictor(engine).pose(image, boxes)  # type: ignore[call-overload]


def test_no_boxes_give_no_people(engine: PoseEngine) -> None:
    assert Predictor(engine).pose(ASTRONAUT, []) == []


def test_boxes_may_be_an_array(engine: PoseEngine) -> None:
    boxes = np.array([[10.0, 20, 300, 400], [0, 0, 200, 200]])
    from_array = Predictor(engine).pose(ASTRONAUT, boxes)  # type: ignore[call-overload]

    assert [person.box for person in from_array] == [tuple(box) for box in boxes.tolist()]


def test_crops_as_bytes_and_as_numbers_give_the_same_heatmaps(engine: PoseEngine) -> None:
    crops = torch.from_numpy(random_picture(64, 64)).permute(2, 0, 1)[None]

    assert engine(crops).shape == (1, 17, 16, 16)
    torch.testing.assert_close(engine(crops.float() / 255), engine(crops))


def test_scores_are_between_0_and_1(engine: PoseEngine) -> None:
    (person,) = Predictor(engine).pose(ASTRONAUT)

    assert engine(torch.zeros(1, 3, 64, 64)).max() > 1  # what the untrained network says
    assert (person.keypoints[:, 2] >= 0).all()
    assert (person.keypoints[:, 2] <= 1).all()


def test_a_box_score_scales_the_score_of_its_person(engine: PoseEngine) -> None:
    crops, matrices = engine.prepare(decode(ASTRONAUT.read_bytes()), BOXES[0] * 2)
    sure, unsure = engine.finish(engine.run(crops), matrices, BOXES[0] * 2, scores=[1.0, 0.5])

    assert unsure.score == pytest.approx(sure.score / 2)


def test_warming_up_runs_the_network(engine: PoseEngine) -> None:
    engine.warm()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"refine": "sharp"}, "refine is 'sharp'; expected one of none, shift, dark"),
        ({"blur": 3}, "unknown decode option 'blur'; known are kernel, padding, refine, udp"),
    ],
)
def test_a_manifest_with_an_unknown_coding_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PoseCoding.from_values(values)


def test_a_network_of_other_joints_is_refused() -> None:
    config = pose(shallow(), joints=14)
    with pytest.raises(ValueError, match=r"joints=14.*expected COCO's 17 joints"):
        PoseEngine(seeded(config), pose_entry(config=config), device="cpu")
