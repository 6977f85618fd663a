"""Masks of one figure each as photographs with one box."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.data.errors import BadDataset
from hrformer.data.figures import read_figures
from tests.material import write_mask_set


def test_the_box_is_the_extent_of_the_figure(tmp_path: Path) -> None:
    first, second, _ = read_figures(write_mask_set(tmp_path), "train")

    assert first.boxes.tolist() == [[15, 20, 30, 50]]
    assert second.boxes.tolist() == [[15, 21, 29, 49]]
    assert first.image.name == "train_0.png"


def test_all_around_it_nothing_is_asked(tmp_path: Path) -> None:
    photograph = read_figures(write_mask_set(tmp_path), "train")[0]
    asked = np.ones((80, 60), bool)
    for x, y, width, height in photograph.crowds.astype(int):
        asked[y : y + height, x : x + width] = False
    figure = np.zeros_like(asked)
    figure[20:70, 15:45] = True

    assert np.array_equal(asked, figure)


def test_a_figure_that_fills_the_picture_has_nothing_around_it(tmp_path: Path) -> None:
    directory = write_mask_set(tmp_path, pictures=1)
    Image.fromarray(np.ones((80, 60), np.uint8)).save(directory / "masks" / "train_0.png")
    (photograph,) = read_figures(directory, "train")

    assert photograph.boxes.tolist() == [[0, 0, 60, 80]]
    assert photograph.crowds.shape == (0, 4)


def test_a_picture_without_a_figure_is_left_out(tmp_path: Path) -> None:
    directory = write_mask_set(tmp_path, pictures=2)
    Image.fromarray(np.zeros((80, 60), np.uint8)).save(directory / "masks" / "train_1.png")

    assert [photograph.image.name for photograph in read_figures(directory, "train")] == ["train_0.png"]


def test_a_set_without_a_background_is_refused(tmp_path: Path) -> None:
    directory = write_mask_set(tmp_path)
    description = json.loads((directory / "classes.json").read_text())
    (directory / "classes.json").write_text(json.dumps({**description, "background_index": None}))

    with pytest.raises(BadDataset, match="no background class"):
        read_figures(directory, "train")
