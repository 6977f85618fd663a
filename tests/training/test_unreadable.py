"""Pictures that cannot be read: refused or left out, by name."""

import json
from pathlib import Path

import pytest

from hrformer.data.errors import BadDataset, UnreadablePicture
from hrformer.data.unreadable import TOLD, LeftOut
from hrformer.training.recipe import Recipe
from hrformer.training.sitting import make_task, sit
from tests.material import write_mask_set, write_pose_set
from tests.training.small_runs import CPU, mask_recipe, pose_recipe

BROKEN, MISSING = "images/train_1.png", "images/train_2.png"


@pytest.fixture(params=["poses", "masks"])
def spoiled(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Recipe]:
    """A set with a broken and a missing picture, and a recipe for it."""
    write, recipe = {"poses": (write_pose_set, pose_recipe()), "masks": (write_mask_set, mask_recipe())}[
        request.param
    ]
    directory = write(tmp_path / "set")
    (directory / BROKEN).write_bytes((directory / BROKEN).read_bytes()[:100])
    (directory / MISSING).unlink()
    return directory, recipe


def test_unreadable_pictures_are_refused(spoiled: tuple[Path, Recipe]) -> None:
    with pytest.raises(UnreadablePicture, match="train_[12]"):
        make_task([spoiled[0]], spoiled[1], CPU)


def test_skipped_ones_are_named_and_counted(spoiled: tuple[Path, Recipe]) -> None:
    directory, recipe = spoiled
    left_out = LeftOut("skip")
    whole = len(list((directory / "images").glob("train_*"))) + 1
    task = make_task([directory], recipe, CPU, left_out)

    assert (task.size, left_out.count) == (whole - 2, 2)
    assert str(left_out).startswith("2 pictures are left out, unreadable:\n  ")
    assert "train_1" in str(left_out)
    assert "train_2" in str(left_out)


def test_the_others_stay_what_they_are(tmp_path: Path) -> None:
    directory = write_pose_set(tmp_path / "set")
    whole = make_task([directory], pose_recipe(), CPU)
    (directory / BROKEN).write_bytes(b"")
    rest = make_task([directory], pose_recipe(), CPU, LeftOut("skip"))

    for name in ("canvases", "boxes", "joints"):
        expected = getattr(whole.cache, name)[[0, 2, 3]]  # type: ignore[attr-defined]
        assert getattr(rest.cache, name).equal(expected)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("write", "recipe"), [(write_pose_set, pose_recipe()), (write_mask_set, mask_recipe())]
)
def test_in_validation_they_are_always_refused(tmp_path: Path, write: object, recipe: Recipe) -> None:
    directory = write(tmp_path / "set")  # type: ignore[operator]
    (directory / "images" / "val_1.png").write_bytes(b"no picture")
    with pytest.raises(UnreadablePicture, match=r"val_1\.png"):
        make_task([directory], recipe, CPU, LeftOut("skip"))


def test_a_mask_that_does_not_fit_is_refused_even_so(tmp_path: Path) -> None:
    directory = write_mask_set(tmp_path / "set")
    (directory / "masks" / "train_1.png").write_bytes((directory / BROKEN).read_bytes())
    with pytest.raises(BadDataset, match=r"train_1\.png has mode RGB"):
        make_task([directory], mask_recipe(), CPU, LeftOut("skip"))


def test_a_set_of_which_nothing_is_left_is_told(tmp_path: Path) -> None:
    directory = write_pose_set(tmp_path / "set", people=2)
    for file in (directory / "images").glob("train_*"):
        file.unlink()
    with pytest.raises(BadDataset, match=r"no picture is left to train on; 2 pictures are left out.*train_0"):
        make_task([directory], pose_recipe(), CPU, LeftOut("skip"))


def test_of_many_the_first_are_named() -> None:
    left_out = LeftOut("skip")
    for index in range(TOLD + 3):
        left_out.note(UnreadablePicture(f"{index}.jpg cannot be read"))
        left_out.note(UnreadablePicture(f"{index}.jpg cannot be read"))  # of another person in it
    lines = str(left_out).splitlines()

    assert lines[0] == f"{TOLD + 3} pictures are left out, unreadable:"
    assert lines[TOLD] == f"  {TOLD - 1}.jpg cannot be read"
    assert lines[-1] == "  and 3 more"


def test_a_run_says_at_its_start_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_pose_set(tmp_path / "set")
    (directory / MISSING).unlink()
    fields = ["network.backbone.modules=(1, 1, 1)", "network.backbone.blocks=1", "input_size=(64, 64)"]
    changes = [*fields, "steps=1", "batch_size=2", "canvas_px=96"]
    sit("tiny-pose", changes, data=[directory], output=tmp_path / "run", device="cpu", unreadable="skip")
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])

    assert "1 picture is left out, unreadable:\n  " in capsys.readouterr().err
    assert first == {"step": 0, "samples": 3, "left_out": 1}
