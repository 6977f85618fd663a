"""Pictures with one class each, a folder for each class."""

from pathlib import Path

import pytest

from hrformer.data.errors import BadDataset
from hrformer.data.image_folder import SUFFIXES, read_image_folder
from hrformer.data.pictures import read_picture
from tests.material import ASTRONAUT


def write(directory: Path, *names: str) -> Path:
    """Empty files of these names in a folder."""
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return directory


def test_classes_are_the_sorted_names_of_the_folders(tmp_path: Path) -> None:
    write(tmp_path, "val/zebra/1.jpg", "val/ant/1.jpg", "val/Okapi/1.jpg", "train/lion/1.jpg")

    assert read_image_folder(tmp_path, "val").classes == ("Okapi", "ant", "zebra")


def test_pictures_come_by_class_and_then_by_name(tmp_path: Path) -> None:
    write(tmp_path, "val/b/1.jpg", "val/a/2.png", "val/a/10.webp", "val/a/1.JPEG")
    folder = read_image_folder(tmp_path, "val")

    assert [(str(file.relative_to(tmp_path)), index) for file, index in folder.samples] == [
        ("val/a/1.JPEG", 0),
        ("val/a/10.webp", 0),
        ("val/a/2.png", 0),
        ("val/b/1.jpg", 1),
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_picture_format_is_taken(tmp_path: Path, suffix: str) -> None:
    assert len(read_image_folder(write(tmp_path, f"val/a/1{suffix}"), "val").samples) == 1


@pytest.mark.parametrize("stray", ["val/README", "val/.cache/1.jpg", "val/a/.1.jpg", "val/a/Thumbs.db"])
def test_what_is_no_picture_of_a_class_is_left_out(tmp_path: Path, stray: str) -> None:
    folder = read_image_folder(write(tmp_path, "val/a/1.jpg", stray), "val")

    assert (folder.classes, len(folder.samples)) == (("a",), 1)


def test_a_folder_that_is_named_like_a_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / "val" / "a" / "2.jpg").mkdir(parents=True)

    assert len(read_image_folder(write(tmp_path, "val/a/1.jpg"), "val").samples) == 1


def test_a_sample_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "val" / "astronaut").mkdir(parents=True)
    (tmp_path / "val" / "astronaut" / "1.jpg").write_bytes(ASTRONAUT.read_bytes())
    ((file, _),) = read_image_folder(tmp_path, "val").samples

    assert read_picture(file).pixels.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a/1.jpg"], r"there is no folder .*/val; expected one folder for each class"),
        (["val"], r"there is no folder .*/val; expected one folder for each class"),
        (["val/1.jpg"], r"/val has no folders; expected one for each class"),
        (["val/a/1.jpg", "val/b/notes.txt"], r"/val/b holds no picture; expected files that end in \.jpg"),
    ],
)
def test_a_folder_in_another_layout_is_named(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(BadDataset, match=message):
        read_image_folder(write(tmp_path, *names), "val")
