"""Photographs and boxes of people in training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hrformer.checkpoints.manifest import entry_of_file
from hrformer.data.people import read_photographs
from hrformer.geometry.crop import invert, transform
from hrformer.modeling.network import build
from hrformer.training.augmentation.geometric import Draw, people_matrices
from hrformer.training.augmentation.variation import PeopleAugmentation
from hrformer.training.cache import CROWD, NOBODY, SOMEBODY, cache_photographs
from hrformer.training.people import PeopleTask, boxes_in_crops, four_in_one
from hrformer.training.recipe import PeopleRecipe
from hrformer.training.sitting import make_task, sit
from tests.material import shallow_people, shallow_pose, write_people_set
from tests.training.small_runs import CPU, run_through

AS_SERVED = PeopleAugmentation(flip=0.0, smallest=1.0, largest=1.0, aspect=0.0, mosaic=0.0, colour=0.0)


def people_recipe(**changes: Any) -> PeopleRecipe:
    recipe = PeopleRecipe(
        network=shallow_people(),
        input_size=(80, 96),
        input_sizes=((80, 96),),
        canvas_px=96,
        steps=2,
        batch_size=4,
        warmup_steps=1,
        autocast=False,
        log_every_steps=1,
        validate_every_minutes=1e6,
    )
    return replace(recipe, **changes)


@pytest.fixture(scope="module")
def people_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people_set(tmp_path_factory.mktemp("sets") / "people")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_boxes_are_made_smaller_with_their_photographs(people_set: Path) -> None:
    cache = cache_photographs(read_photographs(people_set, "train"), 48)

    assert cache.sizes.tolist() == [[48, 40]] * 4
    assert cache.kinds.tolist() == [
        [NOBODY] * 3,
        [SOMEBODY, NOBODY, NOBODY],
        [SOMEBODY, SOMEBODY, NOBODY],
        [SOMEBODY, SOMEBODY, CROWD],
    ]
    assert cache.boxes[1, 0].tolist() == [1.5, 4.5, 14.5, 34.5]  # edges at 2, 5, 15, 35: half a pixel less


def test_at_scale_one_the_targets_are_those_of_the_photograph(people_set: Path) -> None:
    task = PeopleTask([people_set], people_recipe(augmentation=AS_SERVED), CPU)
    crops, targets = task.batch(torch.arange(4), generator())

    assert torch.equal(crops, task.cache.canvases[:, :, :80])
    assert (targets.heatmaps == 1).sum(dim=(1, 2)).tolist() == [0, 1, 2, 2]
    assert targets.ignored.any(dim=2).any(dim=1).tolist() == [False, False, False, True]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_lie_around_the_bright_people_however_crops_vary(people_set: Path, seed: int) -> None:
    varied = PeopleAugmentation(smallest=0.6, largest=1.6, mosaic=0.5, colour=0.0)
    task = PeopleTask([people_set], people_recipe(input_size=(96, 96), augmentation=varied), CPU)
    crops, targets = task.batch(torch.tensor([1, 2, 1, 2]), generator(seed))

    assert crops.shape == (4, 3, 96, 96)
    for crop, heatmap in zip(crops, targets.heatmaps, strict=True):
        for row, column in (heatmap == 1).nonzero().tolist():
            assert crop[:, 4 * row, 4 * column].amin() > 150  # 220 within a person, 40 around


def test_half_of_the_batches_are_turned(people_set: Path) -> None:
    recipe, drawn = people_recipe(input_size=(64, 96), turned_crops=True), generator()
    task = PeopleTask([people_set], recipe, CPU)
    batches = [task.batch(torch.arange(4), drawn) for _ in range(8)]

    assert {tuple(crops.shape[2:]) for crops, _ in batches} == {(64, 96), (96, 64)}
    assert all(4 * targets.heatmaps.shape[1] == crops.shape[2] for crops, targets in batches)


@pytest.mark.parametrize("shape", [(96, 80), (30, 90)])
def test_a_scale_is_that_of_the_longer_side(shape: tuple[int, int]) -> None:
    varied = replace(AS_SERVED, smallest=0.5, largest=0.5)
    sizes = torch.tensor([shape], dtype=torch.float32)
    matrices = people_matrices(sizes, (64, 64), 64, varied, Draw(generator(), 1, CPU))
    corners = transform(torch.tensor([[[-0.5, -0.5], [shape[0] - 0.5, shape[1] - 0.5]]]), matrices)[0]

    assert (corners[1] - corners[0]).max().item() == pytest.approx(32, abs=1e-4)
    assert corners.min() >= -0.5 - 1e-4
    assert corners.max() <= 63.5 + 1e-4


def test_a_crop_of_a_larger_photograph_lies_within_it() -> None:
    sizes = torch.tensor([[100.0, 80.0]]).expand(50, -1)
    matrices = people_matrices(sizes, (32, 32), 100, AS_SERVED, Draw(generator(), 50, CPU))
    corners = transform(torch.tensor([[[-0.5, -0.5], [31.5, 31.5]]]).expand(50, -1, -1), invert(matrices))

    assert corners.amin() >= -0.5 - 1e-3
    assert corners[..., 0].amax() <= 99.5 + 1e-3
    assert corners[..., 1].amax() <= 79.5 + 1e-3


def cut(box: list[float], kind: int = SOMEBODY) -> tuple[list[float], int]:
    """A box of a crop of 64 x 64 that is its canvas."""
    identity = torch.eye(2, 3)[None]
    boxes, kinds = boxes_in_crops(
        torch.tensor([[box]]), torch.tensor([[kind]], dtype=torch.uint8), identity, (64, 64), people_recipe()
    )
    return boxes[0, 0].tolist(), int(kinds[0, 0])


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([10.0, 10, 30, 30], SOMEBODY),
        ([-10.0, 10, 9.5, 30], SOMEBODY),  # half of it is cut off
        ([-30.0, 10, 9.5, 30], CROWD),  # three quarters are
        ([-30.0, 10, -5, 30], NOBODY),
        ([10.0, 10, 17, 17], CROWD),  # 7 px
        ([10.0, 10, 12, 19], SOMEBODY),
        ([0.0, 0, 0, 0], NOBODY),
    ],
)
def test_who_can_hardly_be_seen_is_not_asked_for(box: list[float], kind: int) -> None:
    assert cut(box)[1] == kind


def test_what_leaves_the_crop_is_cut_off() -> None:
    assert cut([-10.0, 10, 30, 90])[0] == [-0.5, 10, 30, 63.5]


def test_a_crowd_stays_one() -> None:
    assert cut([10.0, 10, 30, 30], CROWD)[1] == CROWD


def test_four_tiles_make_a_mosaic() -> None:
    tiles = torch.arange(8.0)[:, None, None, None].expand(8, 3, 2, 4)
    boxes = torch.tensor([0.0, 0, 1, 1]).expand(8, 1, 4)
    mosaics, moved, kinds = four_in_one(tiles, boxes, torch.arange(8)[:, None])

    assert mosaics[:, 0, ::2, ::4].tolist() == [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]
    assert moved[0].tolist() == [[0, 0, 1, 1], [4, 0, 5, 1], [0, 2, 1, 3], [4, 2, 5, 3]]
    assert kinds.tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_a_run_ends_with_a_model_that_describes_itself(people_set: Path, tmp_path: Path) -> None:
    recipe = people_recipe()
    run = run_through(PeopleTask([people_set], recipe, CPU), recipe, tmp_path)
    entry = entry_of_file(tmp_path / "model.safetensors")

    assert run.progress.step == 2
    assert (entry.task, entry.input_sizes, entry.config) == ("people", ((80, 96),), recipe.network)
    assert entry.metrics["measured_on"] == "people/val, 4 photographs"
    assert {"AP50", "AP", "recall50_large", "false_alarms"} <= set(entry.metrics)
    assert (tmp_path / "samples.jpg").is_file()


def test_the_loss_falls_on_what_is_seen_again_and_again(people_set: Path) -> None:
    recipe = people_recipe(augmentation=AS_SERVED)
    task = PeopleTask([people_set], recipe, CPU)
    torch.manual_seed(0)
    network = build(recipe.network)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    crops, targets = task.batch(torch.arange(4), generator())
    losses = []
    for _ in range(12):
        loss = task.loss(network(crops.float() / 128 - 1), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())

    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_people_are_trained_by_their_recipe(people_set: Path, tmp_path: Path) -> None:
    shallow = ["network.backbone.modules=(1, 1, 1)", "network.backbone.blocks=1", "network.head.channels=8"]
    short = ["steps=1", "batch_size=4", "input_size=(64, 64)", "canvas_px=96", "input_sizes=((64, 64),)"]
    sit("tiny-people", [*shallow, *short], data=[people_set], output=tmp_path, device="cpu")

    assert (tmp_path / "model.safetensors").is_file()


def test_a_head_that_does_not_find_people_is_told(people_set: Path) -> None:
    with pytest.raises(ValueError, match="expected a head that finds people"):
        make_task([people_set], people_recipe(network=shallow_pose()), CPU)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"input_sizes": ()}, "input_sizes is empty"),
        ({"input_sizes": ((30, 64),)}, "input_sizes has"),
        ({"input_size": (68, 64)}, "expected multiples of 8, for mosaics of four"),
        ({"augmentation": PeopleAugmentation(mosaic=1.0)}, "augmentation.mosaic is 1.0"),
        ({"augmentation": PeopleAugmentation(paste=1.5)}, "augmentation.paste is 1.5; expected 0 to 1"),
    ],
)
def test_a_recipe_out_of_range_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        people_recipe(**changes)
