"""Labelled pictures in memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hrformer.data.coarse import MaskSource
from hrformer.data.coco import LabelledPerson, read_persons
from hrformer.data.errors import BadDataset
from hrformer.data.mask_folder import MaskFolder, read_mask_folder
from hrformer.training.cache import cache_masks, cache_persons
from hrformer.training.reading import READ_AHEAD, in_order
from tests.material import write_mask_set


def whole(folder: MaskFolder) -> MaskSource:
    """The set as it is."""
    return MaskSource(folder, tuple(range(len(folder.classes))))


def dotted(directory: Path, x: int, y: int, width: int, height: int) -> LabelledPerson:
    """A person in a black picture, the right wrist in the middle of a white square of 21 px."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y - 10 : y + 11, x - 10 : x + 11] = 255
    Image.fromarray(pixels).save(directory / "dot.png")
    joints = np.zeros((17, 3), np.float32)
    joints[10] = x, y, 2
    box = (float(x - 30), float(y - 30), 61.0, 61.0)
    return LabelledPerson(directory / "dot.png", 0, 1, box, joints, 3000.0, "")


def centre_of_light(canvas: torch.Tensor) -> tuple[float, float]:
    light = canvas.float().mean(dim=0)
    x = (light.sum(0) * torch.arange(canvas.shape[2])).sum() / light.sum()
    y = (light.sum(1) * torch.arange(canvas.shape[1])).sum() / light.sum()
    return float(x), float(y)


@pytest.mark.parametrize(("width", "height"), [(100, 120), (300, 200), (170, 411)])
def test_joints_and_boxes_move_with_the_picture(tmp_path: Path, width: int, height: int) -> None:
    person = dotted(tmp_path, x=61, y=150 if height > 160 else 50, width=width, height=height)
    cache = cache_persons([person], side_px=128)
    x, y = centre_of_light(cache.canvases[0])
    left, top, wide, high = cache.boxes[0].tolist()

    assert cache.joints[0, 10].tolist() == pytest.approx([x, y, 2], abs=0.3)
    # The box is about the same point; its corner, unlike a pixel's centre, has no half pixel in it.
    assert (left + (wide - 1) / 2, top + (high - 1) / 2) == pytest.approx((x, y), abs=1)


def test_a_small_picture_is_kept_as_it_is(pose_set: Path) -> None:
    person = read_persons(pose_set, "train")[0]
    cache = cache_persons([person], side_px=128)
    with Image.open(person.image) as image:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)

    assert torch.equal(cache.canvases[0, :, :96, :80], pixels)
    assert cache.canvases[0, :, 96:].max() == 0
    assert cache.boxes[0].tolist() == list(person.box)


def test_labels_are_one_more_than_the_class_and_0_where_nothing_is_known(mask_set: Path) -> None:
    cache = cache_masks([whole(read_mask_folder(mask_set, "train"))], side_px=100)

    assert cache.labels[0, 0, 0] == 1
    assert cache.labels[0, 40, 30] == 2
    assert cache.labels[0, 40, 59] == 0  # 255 in the mask
    assert cache.labels[0, 90, 30] == 0  # below the picture
    assert cache.sizes.tolist() == [[60, 80]] * 3


def test_a_mask_is_made_smaller_with_its_picture(mask_set: Path) -> None:
    cache = cache_masks([whole(read_mask_folder(mask_set, "train"))], side_px=40)
    grey = cache.canvases[:, 0]
    clear = (grey < 60) | (grey > 200)  # not the soft edge of the person

    assert cache.sizes.tolist() == [[30, 40]] * 3
    assert clear.float().mean() > 0.9
    assert torch.equal((cache.labels == 2)[clear], (grey > 200)[clear])


def test_a_missing_picture_is_named(pose_set: Path, tmp_path: Path) -> None:
    person = replace(read_persons(pose_set, "train")[0], image=tmp_path / "gone.webp")
    with pytest.raises(BadDataset, match=r"gone\.webp cannot be read"):
        cache_persons([person], side_px=64)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    directory = write_mask_set(tmp_path)
    file = directory / "images" / "train_1.png"
    file.write_bytes(file.read_bytes()[:90])
    with pytest.raises(BadDataset, match=r"train_1\.png: "):
        cache_masks([whole(read_mask_folder(directory, "train"))], side_px=64)


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(in_order(lambda item: item**2, range(100), workers=3)) == [item**2 for item in range(100)]


def test_no_more_is_read_ahead_than_a_few_pictures_a_thread() -> None:
    started: list[int] = []
    results = in_order(started.append, range(1000), workers=2)
    next(results)

    assert len(started) <= 2 * READ_AHEAD
    results.close()
