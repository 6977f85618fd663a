"""How good class maps are."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hrformer.data.errors import BadDataset
from hrformer.data.mask_folder import MaskFolder, MaskSample, read_mask_folder
from hrformer.engine.predictor import Predictor
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.evaluation.segmentation import (
    SegmentationFigures,
    class_table,
    confusion,
    confusions,
    figures_of_masks,
    measure,
    segment_sample,
    segmentation_figures,
)
from tests.material import ASTRONAUT, mask_entry, seeded, shallow_person, write_mask_set
from tests.strategies import quick

NAMES = ("background", "skin", "hair")
LABELS = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 255], [2, 2, 255, 255]], dtype=torch.uint8)
ANSWERS = torch.tensor([[0, 0, 0, 1], [1, 1, 0, 2], [1, 2, 0, 1]], dtype=torch.uint8)


@pytest.fixture(scope="module")
def engine() -> SegmentationEngine:
    return SegmentationEngine(seeded(shallow_person()), mask_entry(), device="cpu")


def figures(labels: torch.Tensor, answers: torch.Tensor, background: int | None = 0) -> SegmentationFigures:
    return segmentation_figures(confusion(labels, answers, 3, 255), NAMES, background, 1)


def test_pixels_are_counted_by_label_and_answer() -> None:
    assert confusion(LABELS, ANSWERS, 3, 255).tolist() == [[3, 1, 0], [1, 2, 0], [0, 1, 1]]


def test_figures_are_those_worked_out_by_hand() -> None:
    found = figures(LABELS, ANSWERS)

    assert found.iou == {
        "background": pytest.approx(3 / 5),
        "skin": pytest.approx(2 / 5),
        "hair": pytest.approx(1 / 2),
    }
    assert found.mean_iou == pytest.approx(0.5)
    assert found.pixel_accuracy == pytest.approx(6 / 9)
    assert found.mean_class_accuracy == pytest.approx((3 / 4 + 2 / 3 + 1 / 2) / 3)
    assert found.foreground_iou == pytest.approx(4 / 6)  # 4 are foreground in both, 6 in one or both


def test_without_a_background_there_is_no_foreground() -> None:
    assert math.isnan(figures(LABELS, ANSWERS, background=None).foreground_iou)


def test_a_class_that_nothing_shows_does_not_count() -> None:
    found = figures(LABELS.clamp(max=1), ANSWERS.clamp(max=1))

    assert math.isnan(found.iou["hair"])
    assert found.mean_iou == pytest.approx((found.iou["background"] + found.iou["skin"]) / 2)


@quick
@given(st.integers(0, 2**31), st.permutations(range(3)))
def test_figures_do_not_depend_on_the_order_of_the_classes(seed: int, order: list[int]) -> None:
    random = torch.Generator().manual_seed(seed)
    labels, answers = (torch.randint(0, 3, (6, 7), generator=random).to(torch.uint8) for _ in range(2))
    renamed = torch.tensor(order, dtype=torch.uint8)
    before, after = (
        figures(labels, answers),
        figures(renamed[labels.long()], renamed[answers.long()], order[0]),
    )

    assert after.mean_iou == pytest.approx(before.mean_iou)
    assert after.foreground_iou == pytest.approx(before.foreground_iou, nan_ok=True)


def answers(engine: SegmentationEngine, folder: MaskFolder) -> Iterator[np.ndarray]:
    return (segment_sample(engine, sample).numpy() for sample in folder.samples)


def test_every_labelled_pixel_of_a_split_counts_once(tmp_path: Path, engine: SegmentationEngine) -> None:
    folder = read_mask_folder(write_mask_set(tmp_path), "val")
    found = list(confusions(answers(engine, folder), folder, (0, 1)))

    assert [int(matrix.sum()) for matrix in found] == [80 * 59] * 3  # the last column has no label


def test_a_mask_measured_is_the_mask_given(tmp_path: Path, engine: SegmentationEngine) -> None:
    file = tmp_path / "large.jpg"
    with Image.open(ASTRONAUT) as image:
        image.resize((700, 500)).save(file)
    measured = segment_sample(engine, MaskSample(file, tmp_path / "none.png"))

    np.testing.assert_array_equal(measured.numpy(), Predictor(engine).segment(file))


def test_a_mask_of_another_size_than_its_picture_is_named(tmp_path: Path, engine: SegmentationEngine) -> None:
    directory = write_mask_set(tmp_path)
    Image.new("L", (80, 60)).save(directory / "masks" / "val_1.png")
    folder = read_mask_folder(directory, "val")
    with pytest.raises(BadDataset, match=r"val_1\.png is 80x60, its picture 60x80"):
        list(confusions(answers(engine, folder), folder, (0, 1)))


def test_the_figures_of_a_split_are_those_of_its_pictures_together(
    tmp_path: Path, engine: SegmentationEngine
) -> None:
    folder = read_mask_folder(write_mask_set(tmp_path, pictures=12), "val")
    matrices = list(confusions(answers(engine, folder), folder, (0, 1)))
    found = {f"{one.group}{one.name}": one for one in figures_of_masks(matrices, folder.classes, 0)}
    whole = measure(engine, folder)

    assert found["mean_iou"].value == whole.mean_iou
    assert {name: found[f"iou{name}"].value for name in folder.classes} == whole.iou
    assert found["pixel_accuracy"].value == whole.pixel_accuracy
    assert found["foreground_iou"].value == whole.foreground_iou
    assert found["mean_class_accuracy"].value == whole.mean_class_accuracy
    assert found["pixel_accuracy"].low < whole.pixel_accuracy < found["pixel_accuracy"].high


def test_the_interval_of_an_iou_holds_what_other_pictures_have() -> None:
    """Each picture has an IoU of its own; of twenty drawn anew the pixels are summed, not the shares."""
    random = np.random.default_rng(5)
    right = random.integers(0, 1000, 20)
    matrices = [torch.tensor([[500, 0], [1000 - int(count), int(count)]]) for count in right]
    found = {one.name: one for one in figures_of_masks(matrices, ("background", "person"), 0)}
    error = 1.96 * right.std() / 1000 / math.sqrt(20)

    assert found["person"].value == pytest.approx(right.mean() / 1000)
    assert found["person"].low == pytest.approx(right.mean() / 1000 - error, abs=0.2 * error)
    assert found["person"].high == pytest.approx(right.mean() / 1000 + error, abs=0.2 * error)


def folder_of(*classes: str, background: int | None = 0) -> MaskFolder:
    return MaskFolder(classes, background, 255, ())


@pytest.mark.parametrize(
    ("known", "folder", "table"),
    [
        (NAMES, folder_of(*NAMES), (0, 1, 2)),
        (NAMES, folder_of("background", "person"), (0, 1, 1)),
        (("skin", "background"), folder_of("person", "background", background=1), (0, 1)),
        (("class_0", "class_1"), folder_of("sky", "sea", background=None), (0, 1)),
    ],
)
def test_classes_of_a_model_are_the_sets_by_name(
    known: tuple[str, ...], folder: MaskFolder, table: tuple[int, ...]
) -> None:
    assert class_table("model", known, folder) == table


@pytest.mark.parametrize(
    ("known", "folder"),
    [
        (NAMES, folder_of("background", "skin")),
        (NAMES, folder_of("background", "hair", "skin")),
        (("sky", "road"), folder_of("background", "person")),
        (NAMES, folder_of("background", "person", background=None)),
        (("class_0", "class_1", "class_2"), folder_of("sky", "sea", background=None)),
    ],
)
def test_a_model_of_other_classes_is_refused(known: tuple[str, ...], folder: MaskFolder) -> None:
    with pytest.raises(ValueError, match=rf"'model' tells {len(known)} classes .*; the masks show"):
        class_table("model", known, folder)
