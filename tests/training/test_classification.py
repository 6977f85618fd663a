"""Training to say what a picture shows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.data.errors import BadDataset
from hrformer.data.unreadable import LeftOut
from hrformer.engine.predictor import load
from hrformer.geometry.crop import to_image
from hrformer.modeling.config import ClassificationHeadConfig, NetworkConfig
from hrformer.modeling.network import build
from hrformer.training.augmentation.geometric import Draw, class_matrices
from hrformer.training.augmentation.variation import ClassAugmentation
from hrformer.training.classification import ClassificationTask
from hrformer.training.recipe import ClassRecipe
from hrformer.training.sitting import make_task
from tests.material import shallow, write_image_folder
from tests.strategies import generator
from tests.training.small_runs import CPU, run_through

STILL = ClassAugmentation(flip=0.0, smallest=1.0, aspect=1.0, colour=0.0)


def recipe(**changes: Any) -> ClassRecipe:
    plain = ClassRecipe(
        network=NetworkConfig(shallow(), ClassificationHeadConfig(3)),
        input_size=(64, 64),
        canvas_px=96,
        steps=2,
        batch_size=4,
        warmup_steps=1,
        autocast=False,
        log_every_steps=1,
        validate_every_minutes=1e6,
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_folder(tmp_path_factory.mktemp("sets") / "pets")


def test_a_batch_has_crops_with_their_classes(pets: Path) -> None:
    task = ClassificationTask([pets], recipe(), CPU)
    crops, classes = task.batch(torch.tensor([0, 1, 2, 5]), generator(0))

    assert (crops.shape, crops.dtype) == ((4, 3, 64, 64), torch.uint8)
    assert classes.tolist() == [0, 0, 1, 2]


def test_without_variation_a_square_picture_is_shown_whole(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:80, :80]
    pixels = np.stack([rows * 3, columns * 3, rows + columns], axis=2).astype(np.uint8)
    for split in ("train", "val"):
        (tmp_path / split / "slope").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / split / "slope" / "a.png")
    one = replace(recipe().network, head=ClassificationHeadConfig(1))
    task = ClassificationTask([tmp_path], recipe(network=one, augmentation=STILL), CPU)
    crops, _ = task.batch(torch.tensor([0]), generator(0))
    expected = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)).astype(int)

    assert np.abs(crops[0].permute(1, 2, 0).numpy().astype(int) - expected).max() <= 2


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
def test_crops_lie_in_the_picture_and_show_as_much_of_it_as_asked(size: tuple[int, int]) -> None:
    sizes = torch.tensor([[90.0, 60.0]]).expand(500, -1)
    varied = ClassAugmentation(smallest=0.3)
    matrices = class_matrices(sizes, size, varied, Draw(generator(0), 500, CPU))
    edges = torch.tensor([[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]]).expand(500, -1, -1)
    low, high = to_image(edges, matrices).unbind(dim=1)
    shares = (high - low).prod(dim=1) / (90 * 60)

    assert (low >= -0.501).all()
    assert (high <= torch.tensor([89.501, 59.501])).all()
    assert 0.25 < shares.min() < 0.4  # a crop that would leave the picture is cut off
    assert 0.9 < shares.max() <= 1.001


def test_a_run_leaves_a_model_that_says_classes(pets: Path, tmp_path: Path) -> None:
    task = make_task([pets], recipe(), CPU)
    run_through(task, recipe(), tmp_path)
    entry = find(tmp_path / "model.safetensors")
    (best, *_) = load(str(entry.file), device="cpu").classify(pets / "val" / "cat" / "0.png")

    assert (entry.task, entry.classes, entry.labels) == ("classification", ("bird", "cat", "dog"), "pets")
    assert entry.metrics["measured_on"] == "pets/val, 6 pictures"
    assert best.name in entry.classes
    assert task.evaluate(load_network(entry)) == {"top_1": pytest.approx(entry.metrics["top_1"], abs=0.2)}


def test_a_network_learns_the_classes_of_a_few_pictures(pets: Path, tmp_path: Path) -> None:
    learned = recipe(steps=7, batch_size=6, learning_rate=4e-3, augmentation=STILL, label_smoothing=0.0)
    task = ClassificationTask([pets], learned, CPU)
    run = run_through(task, learned, tmp_path)
    crops, classes = task.batch(torch.arange(6), generator(0))
    answers = run.network.train()((crops / 255 - 0.45) / 0.225).argmax(dim=1)

    assert answers.tolist() == classes.tolist()


def test_a_sheet_has_a_cell_for_each_picture_shown(pets: Path) -> None:
    task = ClassificationTask([pets], recipe(), CPU)

    assert task.samples(build(recipe().network)).shape == (240, 6 * 240, 3)


def test_unreadable_pictures_are_left_out_with_their_classes(tmp_path: Path) -> None:
    directory = write_image_folder(tmp_path / "pets")
    (directory / "train" / "bird" / "0.png").write_bytes(b"")
    left_out = LeftOut("skip")
    task = ClassificationTask([directory], recipe(), CPU, left_out)

    assert left_out.count == 1
    assert task.cache.classes.tolist() == [0, 1, 1, 2, 2]


def test_another_number_of_classes_is_told(pets: Path) -> None:
    four = replace(recipe().network, head=ClassificationHeadConfig(4))
    with pytest.raises(ValueError, match=r"the data has 3 classes; set network\.head\.classes"):
        make_task([pets], recipe(network=four), CPU)


def test_classes_to_train_on_are_those_to_validate_on(pets: Path, tmp_path: Path) -> None:
    other = write_image_folder(tmp_path / "other", classes=("bird", "cat", "fish"))
    with pytest.raises(
        BadDataset, match="other/train has the classes bird, cat, fish; expected .*bird, cat, dog"
    ):
        make_task([pets, other], recipe(), CPU)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; expected 0 to below 1"),
        (
            {"augmentation": ClassAugmentation(smallest=0.0)},
            "augmentation.smallest is 0.0; expected more than 0",
        ),
    ],
)
def test_fields_out_of_their_range_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe(**changes)
