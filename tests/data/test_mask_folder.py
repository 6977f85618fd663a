"""Pictures with a class for every pixel."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.data.errors import BadDataset
from hrformer.data.mask_folder import read_mask, read_mask_folder
from tests.material import write_mask_set


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_mask_set(tmp_path)


def test_a_split_lists_pictures_with_their_masks(directory: Path) -> None:
    folder = read_mask_folder(directory, "val")

    assert (folder.classes, folder.background, folder.ignore) == (("background", "person"), 0, 255)
    assert [sample.image.name for sample in folder.samples] == ["val_0.png", "val_1.png", "val_2.png"]
    assert folder.samples[1].mask == directory / "masks" / "val_1.png"


def test_pictures_may_lie_in_another_folder(directory: Path) -> None:
    (directory / "images").rename(directory / "photographs")
    description = json.loads((directory / "classes.json").read_text())
    (directory / "classes.json").write_text(json.dumps({**description, "images": "photographs"}))

    assert read_mask_folder(directory, "val").samples[0].image == directory / "photographs" / "val_0.png"


def test_without_an_ignore_index_255_has_no_label(directory: Path) -> None:
    (directory / "classes.json").write_text(json.dumps({"ignore_index": None, "classes": [{"name": "a"}]}))

    assert read_mask_folder(directory, "val").ignore == 255


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_mask_is_read_as_its_indices(tmp_path: Path, mode: str) -> None:
    indices = np.array([[0, 1, 2], [255, 2, 1]], np.uint8)
    mask = Image.fromarray(indices)
    if mode == "P":
        mask.putpalette([7, 8, 9] * 256)
    mask.save(tmp_path / "mask.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 3, 255, size=(2, 3)), indices)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Image.new("RGB", (3, 2)), "has mode RGB; expected a palette or grey PNG"),
        (Image.new("I;16", (3, 2)), "has mode I;16; expected a palette or grey PNG"),
        (Image.new("L", (3, 2), 3), "has the value 3; expected 0 to 2, or 255 for no label"),
        (Image.new("L", (2, 3)), "is 2x3, its picture 3x2; expected the same size"),
    ],
)
def test_a_mask_of_another_kind_is_refused(tmp_path: Path, mask: Image.Image, message: str) -> None:
    mask.save(tmp_path / "mask.png")
    with pytest.raises(BadDataset, match=f"mask.png {message}"):
        read_mask(tmp_path / "mask.png", 3, 255, size=(2, 3))


@pytest.mark.parametrize("kept", [0, 10, 40, 60])
def test_a_truncated_mask_is_refused(directory: Path, kept: int) -> None:
    file = directory / "masks" / "val_0.png"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(BadDataset, match=r"val_0\.png cannot be read as a picture"):
        read_mask(file, 2, 255, size=(80, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a list of classes"),
        ("[]", "is not a list of classes"),
        ('{"classes": [{"index": 0}]}', "is not a list of classes: KeyError.'name'"),
        ('{"classes": ["sky"]}', "is not a list of classes"),
        ('{"classes": []}', "names 0 classes; expected 1 to 254"),
        (
            '{"classes": [{"index": 1, "name": "sky"}, {"index": 0, "name": "sea"}]}',
            r"has the indices \[1, 0\]",
        ),
        ('{"classes": [{"name": 5}]}', "names the classes 5; expected a name for each"),
        (
            '{"classes": [{"name": "a"}, {"name": "a"}]}',
            "names the classes 'a', 'a'; expected a name for each",
        ),
        (
            '{"classes": [{"name": "a", "color": [1, 2]}]}',
            r"has the color \[1, 2\]; expected \[red, green, blue\]",
        ),
        ('{"classes": [{"name": "a", "color": "red"}]}', "has the color 'red'; expected"),
        (
            '{"classes": [{"name": "a", "color": [0, 0, 256]}]}',
            r"has the color \[0, 0, 256\]; expected 0 to 255",
        ),
    ],
)
def test_a_list_of_classes_in_another_format_is_named(directory: Path, text: str, message: str) -> None:
    (directory / "classes.json").write_text(text)
    with pytest.raises(BadDataset, match=rf"classes\.json {message}"):
        read_mask_folder(directory, "val")


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        (['"color": [1, 2, 3]', '"color": [0, 255, 9]'], ((1, 2, 3), (0, 255, 9))),
        (['"color": [1, 2, 3]', '"index": 1'], ()),  # one without a colour
    ],
)
def test_classes_may_have_colours(directory: Path, colours: list[str], expected: tuple[object, ...]) -> None:
    first, second = colours
    text = f'{{"classes": [{{"name": "sky", {first}}}, {{"name": "sea", {second}}}]}}'
    (directory / "classes.json").write_text(text)

    assert read_mask_folder(directory, "val").colours == expected


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("classes.json", r"no .*classes\.json; expected the names of the classes"),
        ("val.txt", r"no list of pictures .*val\.txt"),
        ("images/val_1.png", r"no picture .*images/val_1 with one of the suffixes \.jpg"),
        ("masks/val_1.png", r"no mask .*masks/val_1\.png"),
    ],
)
def test_a_missing_file_is_named(directory: Path, missing: str, message: str) -> None:
    (directory / missing).unlink()
    with pytest.raises(BadDataset, match=message):
        read_mask_folder(directory, "val")


def test_an_empty_list_of_pictures_is_refused(directory: Path) -> None:
    (directory / "val.txt").write_text("\n")
    with pytest.raises(BadDataset, match=r"val\.txt lists no picture"):
        read_mask_folder(directory, "val")
