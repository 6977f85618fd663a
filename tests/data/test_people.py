"""Photographs with the boxes of everyone."""

import json
from pathlib import Path
from typing import Any

import pytest

from hrformer.data.errors import BadDataset
from hrformer.data.people import read_photographs
from tests.material import write_people_set


def written(directory: Path, **changes: Any) -> Path:
    """A set of one picture and one person, some of its records changed."""
    records = {
        "images": [{"id": 3, "file_name": "images/a.jpg"}],
        "annotations": [{"id": 7, "image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    (directory / "train.json").write_text(json.dumps(records | changes))
    return directory


def test_photographs_without_people_are_kept(tmp_path: Path) -> None:
    photographs = read_photographs(write_people_set(tmp_path), "train")

    assert [len(photograph.boxes) for photograph in photographs] == [0, 1, 2, 2]
    assert photographs[0].boxes.shape == photographs[0].crowds.shape == (0, 4)


def test_crowds_are_kept_apart(tmp_path: Path) -> None:
    *others, last = read_photographs(write_people_set(tmp_path), "train")

    assert last.crowds.tolist() == [[64, 10, 26, 50]]
    assert all(len(photograph.crowds) == 0 for photograph in others)


def test_a_picture_lies_where_the_file_says(tmp_path: Path) -> None:
    (photograph,) = read_photographs(written(tmp_path), "train")

    assert (photograph.image, photograph.image_id) == (tmp_path / "images" / "a.jpg", 3)
    assert photograph.boxes.tolist() == [[1, 2, 3, 4]]


def test_what_is_no_person_is_left_out(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "person"}]
    (photograph,) = read_photographs(written(tmp_path, categories=categories), "train")

    assert len(photograph.boxes) == 0


def annotation(**changes: Any) -> dict[str, Any]:
    return {"annotations": [{"id": 7, "image_id": 3, "bbox": [1, 2, 3, 4]} | changes]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": []}, "lists no picture"),
        ({"annotations": ["x"]}, "annotation 'x' is not in COCO's format"),
        ({"annotations": [{"id": 7, "image_id": 3}]}, "annotation 7 is not in COCO's format: KeyError"),
        (annotation(image_id=4), "annotation 7 is of picture 4, which the file does not list"),
        (annotation(bbox=[1, 2, 3]), "the box is .* expected four finite numbers, the last two positive"),
        (annotation(bbox=[1, 2, 0, 4]), "the last two positive"),
        (annotation(bbox=[1, 2, float("nan"), 4]), "expected four finite numbers"),
        (annotation(bbox=["a", 2, 3, 4]), "annotation 7 is not in COCO's format"),
        ({"categories": [{"id": 1}]}, "has a category without `id` or `name`"),
    ],
)
def test_records_that_are_not_in_the_format_are_told(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadDataset, match=f"train.json.*{sentence}"):
        read_photographs(written(tmp_path, **changes), "train")
