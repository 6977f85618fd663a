"""Pictures of a data set."""

from pathlib import Path

import pytest
from PIL import Image

from hrformer.data.errors import BadDataset
from hrformer.data.pictures import read_picture
from tests.material import ASTRONAUT


def test_a_picture_is_read_whole() -> None:
    assert read_picture(ASTRONAUT).pixels.shape == (512, 512, 3)


def test_a_picture_is_read_as_small_as_it_may_be() -> None:
    asked = []
    picture = read_picture(ASTRONAUT, lambda *size: asked.append(size) or 4)

    assert asked == [(512, 512)]
    assert (picture.pixels.shape, picture.width) == ((128, 128, 3), 512)


def test_a_picture_may_be_small(tmp_path: Path) -> None:
    Image.new("RGB", (3, 5)).save(tmp_path / "small.png")

    assert read_picture(tmp_path / "small.png").pixels.shape == (5, 3, 3)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match=r"gone\.jpg cannot be read: No such file"):
        read_picture(tmp_path / "gone.jpg")


@pytest.mark.parametrize("content", [b"", b"this is a text", ASTRONAUT.read_bytes()[:9000]])
def test_a_broken_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.jpg").write_bytes(content)
    with pytest.raises(BadDataset, match=r"broken\.jpg: "):
        read_picture(tmp_path / "broken.jpg")
