"""People with keypoints in COCO's format."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrformer.data.coco import annotation_file, read_persons, without_repeats
from hrformer.data.errors import BadDataset
from tests.material import person, write_pose_set

ALL_SEEN = [5.0, 6.0, 2.0] * 17
Content = dict[str, Any]


def write(directory: Path, *annotations: Any, name: str = "val.json") -> Path:
    images = [{"id": 0, "file_name": "images/a.jpg"}, {"id": 1, "file_name": "images/b.jpg"}]
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": list(annotations)}))
    return directory


def test_a_person_is_read_as_it_is_labelled(tmp_path: Path) -> None:
    (read,) = read_persons(write(tmp_path, person(1, ALL_SEEN)), "val")

    assert (read.image, read.image_id, read.annotation_id) == (tmp_path / "images/b.jpg", 1, 101)
    assert (read.box, read.area, read.label) == ((10, 8, 60, 80), 2400, "human")
    np.testing.assert_array_equal(read.joints, [[5, 6, 2]] * 17)


def test_people_keep_the_order_of_the_file(tmp_path: Path) -> None:
    people = read_persons(write_pose_set(tmp_path, people=5), "train")

    assert [read.annotation_id for read in people] == [100, 101, 102, 103, 104]


def test_crowds_and_people_without_keypoints_are_left_out(tmp_path: Path) -> None:
    boxed = {"id": 7, "image_id": 0, "bbox": [0, 0, 9, 9]}
    directory = write(tmp_path, person(0, ALL_SEEN, iscrowd=1), boxed, person(1, ALL_SEEN))

    assert [read.annotation_id for read in read_persons(directory, "val")] == [101]


def test_people_with_few_labelled_joints_are_left_out(tmp_path: Path) -> None:
    three = [5.0, 6.0, 2.0] * 3 + [0.0, 0.0, 0.0] * 14
    directory = write(tmp_path, person(0, three), person(1, ALL_SEEN))

    assert len(read_persons(directory, "val", min_joints=3)) == 2
    assert len(read_persons(directory, "val", min_joints=4)) == 1


def test_an_area_that_is_not_given_is_that_of_the_box(tmp_path: Path) -> None:
    annotation = person(0, ALL_SEEN)
    del annotation["area"]

    assert read_persons(write(tmp_path, annotation), "val")[0].area == 60 * 80


@pytest.mark.parametrize("split", ["val", "val2017"])
def test_cocos_own_folders_are_read(tmp_path: Path, split: str) -> None:
    directory = write(tmp_path, person(0, ALL_SEEN), name=f"annotations/person_keypoints_{split}.json")

    assert read_persons(directory, "val")[0].image == tmp_path / split / "images/a.jpg"


def test_a_split_that_is_not_there_is_told_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match=r"no labels for 'val' in .*expected val\.json or annotations"):
        annotation_file(tmp_path, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"val\.json is not JSON"),
        ("\xff", r"val\.json is not JSON"),
        ("[]", r"val\.json has no list 'images'"),
        ('{"images": []}', r"val\.json has no list 'annotations'"),
        ('{"images": {}, "annotations": []}', r"val\.json has no list 'images'"),
        ('{"images": [{"id": 3}], "annotations": []}', r"lists the picture \{'id': 3\}; expected `id`"),
        ('{"images": [5], "annotations": []}', r"lists the picture 5"),
        ('{"images": [], "annotations": ["x"]}', r"annotation 'x' is not in COCO's keypoint format"),
        ('{"images": [], "annotations": []}', r"val\.json has no person with 1 labelled joints or more"),
    ],
)
def test_a_file_in_another_format_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "val.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadDataset, match=message):
        read_persons(tmp_path, "val")


def without(field: str) -> Callable[[Content], Content]:
    return lambda annotation: {key: value for key, value in annotation.items() if key != field}


def having(**changes: Any) -> Callable[[Content], Content]:
    return lambda annotation: {**annotation, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (having(keypoints=[1.0] * 50), "cannot reshape"),
        (having(keypoints=["x"] * 51), "could not convert"),
        (having(keypoints=[float("nan")] * 51), "a keypoint is no finite number"),
        (having(bbox=[1, 2, 3]), "not enough values"),
        (having(bbox=[1, 2, 0, 4]), "positive width, height and area"),
        (having(bbox=[1, 2, float("inf"), 4]), "expected finite numbers"),
        (having(bbox=[float("nan"), 2, 3, 4]), "expected finite numbers"),
        (having(area=0), "the area 0; expected"),
        (having(image_id=9), "KeyError"),
        (having(image_id=[0]), "TypeError"),
        (without("bbox"), "'bbox'"),
        (without("image_id"), "'image_id'"),
    ],
)
def test_an_annotation_in_another_format_is_named(
    tmp_path: Path, change: Callable[[Content], Content], message: str
) -> None:
    directory = write(tmp_path, person(0, ALL_SEEN), change(person(1, ALL_SEEN)))
    with pytest.raises(BadDataset, match=rf"val\.json, annotation 101.*{message}"):
        read_persons(directory, "val")


def test_a_person_in_two_sets_counts_once(tmp_path: Path) -> None:
    first = read_persons(write_pose_set(tmp_path, people=1), "train")
    moved = first[0].joints * np.float32([0.4, 0.4, 1]) + np.float32([30, 70, 0])
    rounded = replace(first[0], annotation_id=7, joints=moved.round())
    other = replace(first[0], annotation_id=8, joints=first[0].joints[::-1].copy())

    assert without_repeats([first, [rounded, other]]) == [first[0], other]


def test_a_set_keeps_people_that_are_alike(tmp_path: Path) -> None:
    first = read_persons(write_pose_set(tmp_path, people=1), "train")

    assert len(without_repeats([first * 3])) == 3


def test_people_with_other_joints_labelled_are_others(tmp_path: Path) -> None:
    (known,) = read_persons(write_pose_set(tmp_path, people=1), "train")
    fewer = known.joints.copy()
    fewer[0] = 0

    assert len(without_repeats([[known], [replace(known, joints=fewer)]])) == 2
