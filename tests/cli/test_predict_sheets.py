"""`hrformer predict --sample --sheet`: some of a set's pictures, drawn onto one to look at."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.checkpoints.manifest import MANIFEST, write_entry
from hrformer.cli.main import main
from tests.material import (
    ASTRONAUT,
    class_entry,
    mask_entry,
    people_entry,
    pose_entry,
    saved,
    write_people_set,
)

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest with a model for each task, the default one but for classes."""
    directory = tmp_path_factory.mktemp("weights")
    for entry in (pose_entry(), mask_entry(labels="person"), people_entry(), class_entry()):
        write_entry(saved(entry, directory), directory / MANIFEST, default=entry.task != "classification")
    return directory


@pytest.fixture(autouse=True)
def in_an_empty_folder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), "--device", "cpu"])


def test_drawn_pictures_go_onto_a_sheet(tmp_path: Path, capsys: Out) -> None:
    for index in range(7):
        shutil.copy(ASTRONAUT, tmp_path / f"{index}.jpg")
    assert predict(*(f"{index}.jpg" for index in range(7)), "--sheet", "new/sheet.png") == 0

    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.size == (5 * 400, 2 * 400)
        cells = np.asarray(sheet).reshape(2, 400, 5, 400, 3).swapaxes(1, 2)
    assert (cells[1, 1] == cells[0, 0]).all()
    assert (cells[1, 2] == cells[1, 2, 0, 0]).all()  # paper
    assert len(list(tmp_path.glob("*-pose.jpg"))) == 0
    assert capsys.readouterr().out.count("\n") == 7


def test_a_sheet_and_a_folder_are_both_written(tmp_path: Path) -> None:
    assert predict(ASTRONAUT, "--sheet", "sheet.jpg", "--output", "drawn", "--task", "segmentation") == 0

    assert (tmp_path / "sheet.jpg").is_file()
    assert (tmp_path / "drawn" / "astronaut-mask.jpg").is_file()


def test_pictures_that_a_set_lists_are_drawn_at_random_the_same_ones_each_time(
    tmp_path: Path, capsys: Out
) -> None:
    people = write_people_set(tmp_path / "people", splits=("train", "val"), pictures=6)

    def asked(*flags: object) -> list[str]:
        assert predict(people / "val.json", *flags, "--json", "--sheet", "sheet.jpg") == 0
        lines = capsys.readouterr().out.splitlines()
        return [Path(json.loads(line)["file"]).stem for line in lines]

    everyone = [f"val_{index}" for index in range(6)]
    some = asked("--sample", 3)
    assert len(some) == 3
    assert some == sorted(set(some))
    assert set(some) < set(everyone)
    assert asked("--sample", 3) == some
    assert asked("--sample", 9) == asked() == everyone


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sample", 0], "--sample is 0; expected 1 or more"),
        (["--sheet", "sheet.gif"], "cannot write sheet.gif"),
        (
            ["--sheet", "sheet.jpg", "--model", "small-pets"],
            "--sheet is for pose and segmentation and people",
        ),
    ],
)
def test_wrong_flags_of_a_sheet_are_one_line(flags: list[object], message: str, capsys: Out) -> None:
    assert predict(ASTRONAUT, ASTRONAUT, *flags) == 2
    out, err = capsys.readouterr()

    assert (out, err.count("\n")) == ("", 1)
    assert message in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "none.json"),
        ("{}", "has no list 'images'"),
        ('{"images": [], "annotations": []}', "holds no picture"),
    ],
)
def test_a_list_of_pictures_that_is_none_is_one_line(
    tmp_path: Path, content: str | None, message: str, capsys: Out
) -> None:
    file = tmp_path / ("none.json" if content is None else "val.json")
    if content is not None:
        file.write_text(content)
    assert predict(file) == 2
    _, err = capsys.readouterr()

    assert err.count("\n") == 1
    assert message in err
    assert str(tmp_path) in err


def test_more_pictures_than_a_sheet_holds_are_told(capsys: Out) -> None:
    assert predict(*[ASTRONAUT] * 201, "--sheet", "sheet.jpg") == 2
    assert "--sheet holds 200 pictures, not 201; choose some by --sample" in capsys.readouterr().err
