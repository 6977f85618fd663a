"""People pasted into other photographs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hrformer.training.augmentation.geometric import Draw
from hrformer.training.augmentation.pasting import (
    EDGE,
    boxes_by,
    covered,
    lay_over,
    paste_matrices,
    worth_pasting,
)
from hrformer.training.augmentation.variation import PeopleAugmentation
from hrformer.training.cache import CROWD, NOBODY, SOMEBODY
from hrformer.training.people import PeopleTask
from tests.material import write_people_set
from tests.training.small_runs import CPU
from tests.training.test_people import AS_SERVED, generator, people_recipe

ALWAYS = replace(AS_SERVED, paste=1.0)


def draw(count: int, seed: int = 0) -> Draw:
    return Draw(generator(seed), count, CPU)


def rows(*kinds: int) -> Tensor:
    return torch.tensor([kinds], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("boxes", "kinds", "people"),
    [
        ([[0, 0, 20, 40], [50, 0, 70, 40]], (SOMEBODY, SOMEBODY), [0, 1]),
        ([[0, 0, 20, 23], [50, 0, 70, 40]], (SOMEBODY, SOMEBODY), [1]),  # 23 px
        ([[0, 0, 20, 40], [10, 0, 30, 40]], (SOMEBODY, SOMEBODY), []),  # half covered, each by the other
        ([[0, 0, 20, 40], [0, 0, 200, 400]], (SOMEBODY, SOMEBODY), [1]),  # before somebody much larger
        ([[0, 0, 20, 40], [10, 0, 30, 40]], (SOMEBODY, CROWD), []),
        ([[0, 0, 20, 40], [10, 0, 30, 40]], (SOMEBODY, NOBODY), [0]),
        ([[0, 0, 20, 40], [19, 0, 30, 40]], (SOMEBODY, SOMEBODY), [0, 1]),  # a twentieth and a tenth
    ],
)
def test_who_stands_alone_and_is_large_enough_is_worth_pasting(
    boxes: list[list[float]], kinds: tuple[int, ...], people: list[int]
) -> None:
    found = worth_pasting(torch.tensor([boxes], dtype=torch.float32), rows(*kinds))

    assert found.tolist() == [[0, row] for row in people]


def test_people_are_put_within_the_crop_and_never_enlarged() -> None:
    boxes = torch.tensor([[5.0, 7, 45, 127], [200, 10, 224, 40]]).repeat(100, 1)
    put = boxes_by(paste_matrices(boxes, (96, 128), 0.5, draw(200)), boxes)
    sides, before = put[:, 2:] - put[:, :2], boxes[:, 2:] - boxes[:, :2]

    assert put.amin() >= -0.5 - 1e-3
    assert put[:, 2].amax() <= 127.5 + 1e-3
    assert put[:, 3].amax() <= 95.5 + 1e-3
    assert torch.allclose(sides[:, 0] / sides[:, 1], before[:, 0] / before[:, 1], atol=1e-3)
    assert (sides <= before + 1e-3).all()
    assert sides[::2].amax(dim=1).amin() >= 0.15 * 96 - 1e-3
    assert 60 < sides[::2].amax() <= 0.8 * 96 + 1e-3


def test_a_mirrored_person_turns_in_the_same_place() -> None:
    boxes = torch.tensor([[10.0, 20, 30, 60]])
    plain, mirrored = (paste_matrices(boxes, (96, 96), flip, draw(1)) for flip in (0.0, 1.0))

    assert torch.equal(mirrored[0, 0, 0], -plain[0, 0, 0])
    assert torch.allclose(boxes_by(plain, boxes), boxes_by(mirrored, boxes), atol=1e-4)


def test_the_box_is_shown_whole_and_its_surroundings_fade() -> None:
    boxes = torch.tensor([[19.5, 9.5, 39.5, 49.5]])
    photograph = torch.tensor([[-100.0, -100, 200, 200]])
    laid = lay_over(torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 100.0), boxes, photograph)[0, 0]
    edge = int(EDGE * 20)

    assert (laid[10:50, 20:40] == 100).all()
    assert (laid[30, 20 - edge] < 100) & (laid[30, 20 - edge] > 0)
    assert (laid[:, : 19 - edge] == 0).all()
    assert (laid[:, 41 + edge :] == 0).all()


def test_beyond_the_border_of_its_photograph_nothing_is_shown() -> None:
    boxes = torch.tensor([[19.5, 9.5, 39.5, 49.5]])
    laid = lay_over(torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 100.0), boxes, boxes)[0, 0]

    assert laid[:, :20].sum() == laid[:10].sum() == laid[:, 40:].sum() == laid[50:].sum() == 0
    assert laid[30, 30] == 100


@pytest.mark.parametrize(
    ("box", "kind", "after"),
    [
        ([0, 0, 20, 20], SOMEBODY, SOMEBODY),  # beside it
        ([35, 20, 55, 40], SOMEBODY, SOMEBODY),  # a quarter is covered
        ([30, 20, 50, 40], SOMEBODY, CROWD),  # half
        ([22, 20, 42, 40], SOMEBODY, NOBODY),  # nine tenths
        ([0, 0, 60, 60], SOMEBODY, SOMEBODY),  # the larger one behind it
        ([30, 20, 50, 40], CROWD, CROWD),
        ([22, 20, 42, 40], CROWD, NOBODY),
        ([0, 0, 0, 0], NOBODY, NOBODY),
    ],
)
def test_who_is_covered_is_not_asked_for_and_who_is_hidden_is_gone(
    box: list[float], kind: int, after: int
) -> None:
    pasted = torch.tensor([[20.0, 10, 40, 50]])

    assert covered(torch.tensor([[box]], dtype=torch.float32), rows(kind), pasted).tolist() == [[after]]


@pytest.fixture(scope="module")
def people_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people_set(tmp_path_factory.mktemp("sets") / "people")


@pytest.mark.parametrize("seed", range(4))
def test_in_an_empty_photograph_is_who_was_pasted_there(people_set: Path, seed: int) -> None:
    task = PeopleTask([people_set], people_recipe(augmentation=ALWAYS), CPU)
    crops, targets = task.batch(torch.zeros(4, dtype=torch.int64), generator(seed))

    assert (targets.heatmaps == 1).sum(dim=(1, 2)).tolist() == [1] * 4
    for crop, heatmap in zip(crops, targets.heatmaps, strict=True):
        ((row, column),) = (heatmap == 1).nonzero().tolist()
        assert crop[:, 4 * row, 4 * column].amin() > 200  # 220 within a person, 40 around


def test_mosaics_get_people_too(people_set: Path) -> None:
    mosaics = PeopleAugmentation(colour=0.0, mosaic=0.5, paste=1.0)
    task = PeopleTask([people_set], people_recipe(input_size=(96, 96), augmentation=mosaics), CPU)
    crops, targets = task.batch(torch.zeros(4, dtype=torch.int64), generator())

    assert crops.shape == (4, 3, 96, 96)
    assert (targets.heatmaps[2:] == 1).sum() > 4  # in each of eight tiles


def test_off_as_it_is_by_default_it_draws_no_random_number(people_set: Path) -> None:
    drawn = []
    for varied in (PeopleAugmentation(), PeopleAugmentation(paste=0.0), PeopleAugmentation(paste=1e-9)):
        task = PeopleTask([people_set], people_recipe(input_size=(96, 96), augmentation=varied), CPU)
        drawn.append(generator())
        task.batch(torch.arange(4), drawn[-1])
    default, off, on = (one.get_state() for one in drawn)

    assert torch.equal(default, off)
    assert not torch.equal(off, on)


def test_without_anybody_worth_pasting_crops_stay_as_they_are(tmp_path: Path) -> None:
    empty = write_people_set(tmp_path / "people", pictures=1)
    task = PeopleTask([empty], people_recipe(augmentation=ALWAYS), CPU)
    crops, targets = task.batch(torch.zeros(2, dtype=torch.int64), generator())

    assert (targets.heatmaps == 1).sum() == 0
    assert (crops[:, :, :80] == 40).all()
