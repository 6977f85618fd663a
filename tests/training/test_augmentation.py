"""Varied crops: what is labelled moves with the picture."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from PIL import Image
from torch import Tensor

from hrformer.geometry.crop import crop_boxes, crop_matrices, transform
from hrformer.geometry.keypoints import decode_heatmaps
from hrformer.images.decode import Picture
from hrformer.training.augmentation.colour import blur, erase, gaussian, vary_colour
from hrformer.training.augmentation.geometric import Draw, pose_matrices
from hrformer.training.augmentation.resampling import block_sides, cut
from hrformer.training.augmentation.variation import MaskAugmentation, PoseAugmentation
from hrformer.training.pose import PoseTask
from hrformer.training.segmentation import SegmentationTask
from tests.material import person
from tests.strategies import generator, quick, seeds
from tests.training.small_runs import CPU, NO_VARIATION, mask_recipe, pose_recipe

LEFT_WRIST, RIGHT_WRIST = 9, 10
RED, GREEN = 0, 1
STRIDE = 63 / 15  # UDP, from heatmaps of 16 x 16 to crops of 64 x 64
WITHOUT_COLOUR = {"colour": 0.0, "erase": 0.0, "scale": 0.3, "shift": 0.03}


@pytest.fixture(scope="module")
def wrists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person: the left wrist is a red disc, the right one a green disc; hips where they do not matter."""
    directory = tmp_path_factory.mktemp("wrists")
    (directory / "images").mkdir()
    rows, columns = np.mgrid[:96, :80]
    pixels = np.zeros((96, 80, 3), np.uint8)
    pixels[(columns - 28) ** 2 + (rows - 36) ** 2 <= 16, RED] = 255
    pixels[(columns - 52) ** 2 + (rows - 60) ** 2 <= 16, GREEN] = 255
    Image.fromarray(pixels).save(directory / "images" / "a.png")
    joints = np.zeros((17, 3))
    joints[LEFT_WRIST], joints[RIGHT_WRIST] = (28, 36, 2), (52, 60, 1)
    joints[11], joints[12] = (40, 40, 2), (44, 44, 2)
    record = person(0, joints.ravel().tolist())
    text = {"images": [{"id": 0, "file_name": "images/a.png"}], "annotations": [record]}
    for split in ("train", "val"):
        (directory / f"{split}.json").write_text(str(text).replace("'", '"'))
    return directory


def wrist_task(directory: Path, **augmentation: float) -> PoseTask:
    varied = PoseAugmentation(**{**WITHOUT_COLOUR, **augmentation})
    return PoseTask([directory], pose_recipe(augmentation=varied), CPU)


def places(task: PoseTask, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where red and green lie in a crop, `(2, 2)`; where the wrists should be; which of them are in sight."""
    crops, (heatmaps, weights) = task.batch(torch.tensor([0]), generator(seed))
    colours = torch.stack([_centre(crops[0, colour].float()) for colour in (RED, GREEN)])
    targets = decode_heatmaps(heatmaps, "udp", 3)[0, [LEFT_WRIST, RIGHT_WRIST], :2] * STRIDE
    inside = ((targets > 8) & (targets < 55)).all(dim=1) & (weights[0, [LEFT_WRIST, RIGHT_WRIST]] > 0)
    return colours, targets, inside


def _centre(light: Tensor) -> Tensor:
    x = (light.sum(0) * torch.arange(light.shape[1])).sum() / light.sum()
    y = (light.sum(1) * torch.arange(light.shape[0])).sum() / light.sum()
    return torch.stack([x, y])


@quick
@given(seeds())
def test_joints_move_with_the_picture(wrists: Path, seed: int) -> None:
    colours, targets, inside = places(wrist_task(wrists, flip=0.0), seed)

    torch.testing.assert_close(targets[inside], colours[inside], atol=1.0, rtol=0)


@quick
@given(seeds())
def test_in_a_mirror_left_and_right_change_places(wrists: Path, seed: int) -> None:
    colours, targets, inside = places(wrist_task(wrists, flip=1.0), seed)

    torch.testing.assert_close(targets[inside], colours.flip(0)[inside], atol=1.0, rtol=0)


def test_both_ways_are_drawn(wrists: Path) -> None:
    task = wrist_task(wrists, flip=0.5, rotation_probability=0.0, scale=0.0)
    signs = {
        (colours[1] - colours[0])[0].sign().item()
        for colours, _, _ in (places(task, seed) for seed in range(20))
    }

    assert signs == {-1.0, 1.0}


def test_without_variation_a_crop_is_that_of_the_service(wrists: Path) -> None:
    task = PoseTask([wrists], pose_recipe(augmentation=NO_VARIATION), CPU)
    crops, _ = task.batch(torch.tensor([0]), generator(0))
    engine = task._engine(torch.nn.Identity())  # type: ignore[arg-type]
    (sample,) = task.validation
    with Image.open(sample.image) as image:
        pixels = np.array(image)
    served, _ = engine.prepare(Picture(pixels, width=80, height=96), [sample.box])

    assert (crops.float() - served.float()).abs().max() <= 1


@pytest.mark.parametrize("side", [100, 260, 700])
def test_a_crop_of_a_large_box_is_that_of_the_service_too(tmp_path: Path, side: int) -> None:
    fine = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    box = (0.0, 0.0, float(side), float(side))
    cut_out, served = cut_both(fine, box)

    # Noise of one pixel: a crop that takes single pixels of it is off by 70 on average.
    assert (cut_out - served).abs().mean() < 1


def cut_both(pixels: npt.NDArray[np.uint8], box: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The crop of 64 x 64 in training, and the one that is served, as floats."""
    side = pixels.shape[0]
    canvases = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    canvases[0] = torch.from_numpy(pixels).permute(2, 0, 1)
    served, matrices = crop_boxes(canvases[0], [box], (64, 64), padding=1.0, udp=True)
    return cut(canvases, matrices, (64, 64))[0], served[0].float()


def test_crops_of_all_scales_in_one_batch_are_those_of_each_alone() -> None:
    canvases = torch.randint(0, 256, (6, 3, 90, 90), generator=generator(0), dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 10, side, side] for side in (8, 20, 33, 40, 64, 80)])
    matrices = crop_matrices(
        boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:], torch.zeros(6), (16, 16), udp=True
    )
    together = cut(canvases, matrices, (16, 16))
    alone = [cut(canvases[i : i + 1], matrices[i : i + 1], (16, 16)) for i in range(6)]

    assert block_sides(matrices).tolist() == [1, 1, 2, 2, 4, 4]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_same_random_numbers_give_the_same_crop(wrists: Path) -> None:
    task = wrist_task(wrists)
    one, other = (task.batch(torch.tensor([0]), generator(5))[0] for _ in range(2))

    assert torch.equal(one, other)


def test_a_joint_without_label_has_no_weight(wrists: Path) -> None:
    _, (heatmaps, weights) = wrist_task(wrists, flip=0.0).batch(torch.tensor([0]), generator(0))

    assert weights[0, :LEFT_WRIST].max() == 0
    assert heatmaps[0, :LEFT_WRIST].max() == 0


def half_body_extents(joints: Tensor, probability: float) -> Tensor:
    """Width of the crops of many people alike, in pixels of the picture."""
    count = 200
    augmentation = PoseAugmentation(scale=0.0, shift=0.0, rotation_probability=0.0, half_body=probability)
    matrices = pose_matrices(
        torch.tensor([[0.0, 0, 100, 200]]).expand(count, 4),
        joints.expand(count, -1, -1),
        (64, 64),
        augmentation,
        Draw(generator(0), count, CPU),
        padding=1.25,
    )
    return 63 / matrices[:, 0, 0]


def standing(known: int = 17) -> Tensor:
    """Joints from head to foot, the first so many labelled."""
    y = torch.linspace(10, 190, 17)
    v = (torch.arange(17) < known) * 2.0
    return torch.stack([torch.full((17,), 50.0), y, v], dim=1)[None]


def test_some_crops_show_half_a_body() -> None:
    extents = half_body_extents(standing(), 0.3)
    whole = (extents - 250).abs() < 0.1  # 200 px high, times 1.25

    assert 0.55 < whole.float().mean() < 0.85
    assert extents[~whole].max() < 250  # 11 joints span 112 px: 1.5 and 1.25 times as much


def test_a_body_of_few_joints_is_shown_whole() -> None:
    assert (half_body_extents(standing(known=7), 1.0) - 250).abs().max() < 0.1


def test_the_spread_of_a_crop_is_within_its_limits() -> None:
    count = 500
    augmentation = PoseAugmentation(scale=0.4, shift=0.0, half_body=0.0, rotation_deg=30.0)
    joints = standing().expand(count, -1, -1)
    boxes = torch.tensor([[0.0, 0, 100, 100]]).expand(count, 4)
    matrices = pose_matrices(
        boxes, joints, (64, 64), augmentation, Draw(generator(1), count, CPU), padding=1.0
    )
    scale = 63 / 100 / torch.linalg.det(matrices[:, :, :2]).sqrt()
    angle = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    centre = transform(torch.tensor([[50.0, 50.0]]).expand(count, 1, 2), matrices)

    assert 0.6 - 1e-3 <= scale.min() < 0.75 < 1.25 < scale.max() <= 1.4 + 1e-3
    assert -60.1 < angle.min() < -40 < 40 < angle.max() < 60.1
    assert 0.25 < (angle.abs() < 1e-3).float().mean() < 0.55  # 40 % are not turned
    torch.testing.assert_close(centre, torch.full((count, 1, 2), 31.5), atol=1e-3, rtol=0)


@quick
@given(seeds())
def test_labels_of_a_mask_move_with_the_picture(mask_set: Path, seed: int) -> None:
    task = SegmentationTask([mask_set], mask_recipe(augmentation=MaskAugmentation(colour=0.0)), CPU)
    crops, labels = task.batch(torch.tensor([0, 1, 2]), generator(seed))
    grey = crops[:, 0]
    clear = (grey < 50) | (grey > 200)  # not the soft edge between person and background

    assert labels.unique().tolist() in ([0, 1], [-1, 0, 1])
    known = clear & (labels >= 0)
    # Dark is the background or, outside the picture, nothing; the nearest label may be a pixel away.
    assert ((grey > 200) == (labels == 1))[known].float().mean() > 0.985


def test_half_of_the_batches_of_masks_are_turned(mask_set: Path) -> None:
    task = SegmentationTask([mask_set], mask_recipe(input_size=(64, 48), turned_crops=True), CPU)
    generator = torch.Generator().manual_seed(0)
    batches = [task.batch(torch.arange(3), generator) for _ in range(8)]

    assert {tuple(crops.shape[2:]) for crops, _ in batches} == {(64, 48), (48, 64)}
    assert all(labels.shape[1:] == crops.shape[2:] for crops, labels in batches)


def test_what_lies_outside_the_picture_has_no_label(mask_set: Path) -> None:
    far = MaskAugmentation(smallest=0.5, largest=0.5, rotation_deg=0.0, aspect=0.0, colour=0.0)
    task = SegmentationTask([mask_set], mask_recipe(augmentation=far), CPU)
    crops, labels = task.batch(torch.arange(3), generator(0))

    assert (labels[crops[:, 0] < 5] == -1).all()
    assert 0.5 < (labels == -1).float().mean() < 0.9


def pictures(count: int = 40) -> Tensor:
    return torch.rand(count, 3, 20, 24, generator=generator(3)) * 255


def test_colours_of_no_strength_stay() -> None:
    varied = vary_colour(pictures(), 0.0, Draw(generator(0), 40, CPU))

    torch.testing.assert_close(varied, pictures(), atol=1e-3, rtol=0)


def test_colours_stay_within_a_byte_and_differ_between_pictures() -> None:
    same = pictures(1).expand(40, -1, -1, -1)
    varied = vary_colour(same, 0.4, Draw(generator(0), 40, CPU))

    assert varied.min() >= 0
    assert varied.max() <= 255
    assert varied.mean(dim=(1, 2, 3)).std() > 10


@pytest.mark.parametrize("deviation", [0.5, 1.3, 2.0])
def test_a_blur_is_the_gaussian_of_its_width(deviation: float) -> None:
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    spread = gaussian(point, torch.tensor([deviation]))[0, 0]
    steps = torch.arange(31) - 15
    weights = torch.exp(-0.5 * (steps / deviation) ** 2)
    expected = torch.outer(weights, weights) / weights.sum() ** 2

    torch.testing.assert_close(spread, expected, atol=2e-4, rtol=0)  # cut at 6 px: three deviations of 2 px


def test_a_blur_leaves_an_even_picture_as_it_is() -> None:
    even = torch.full((2, 3, 20, 24), 200.0)

    torch.testing.assert_close(gaussian(even, torch.tensor([0.5, 2.0])), even)


@pytest.mark.parametrize(("probability", "fewest", "most"), [(0.0, 0, 0), (0.5, 10, 30), (1.0, 40, 40)])
def test_as_many_pictures_are_blurred_as_asked(probability: float, fewest: int, most: int) -> None:
    before = pictures()
    after = blur(before, probability, Draw(generator(0), 40, CPU))
    blurred = (after != before).flatten(1).any(dim=1)

    assert fewest <= int(blurred.sum()) <= most
    assert torch.equal(before, pictures())
    assert (after.std(dim=(2, 3)) <= before.std(dim=(2, 3)) + 1e-4).all()


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 40)])
def test_rectangles_are_blanked_in_as_many_pictures_as_asked(probability: float, expected: int) -> None:
    before = pictures()
    after = erase(before, probability, Draw(generator(0), 40, CPU))
    touched = (after != before).any(dim=1)

    assert int(touched.any(dim=(1, 2)).sum()) == expected
    assert touched.float().mean(dim=(1, 2)).max() <= 0.4**2


def test_a_blanked_rectangle_has_one_colour() -> None:
    before = pictures(1)
    after = erase(before, 1.0, Draw(generator(4), 1, CPU))
    blank = after[0][:, (after != before)[0].any(dim=0)]

    assert blank.shape[1] > 0
    assert (blank == blank[:, :1]).all()
