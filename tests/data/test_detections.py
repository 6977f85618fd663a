"""Found people in COCO's results format, and everything labelled in their pictures."""

import json
from pathlib import Path
from typing import Any

import pytest

from hrformer.data.detections import first_pictures, read_detections, read_labelled_pictures
from hrformer.data.errors import BadDataset
from tests.material import person

IMAGES = {7: Path("a.jpg"), 9: Path("b.jpg")}
ALL_SEEN = [5.0, 6.0, 2.0] * 17


def found(**changes: Any) -> dict[str, Any]:
    return {"image_id": 9, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.75, **changes}


def write(directory: Path, content: Any) -> Path:
    file = directory / "found.json"
    file.write_text(json.dumps(content))
    return file


def write_labels(directory: Path, *annotations: Any) -> Path:
    images = [{"id": 0, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]
    (directory / "val.json").write_text(json.dumps({"images": images, "annotations": list(annotations)}))
    return directory


def test_a_detection_is_read_as_it_is_written(tmp_path: Path) -> None:
    (one,) = read_detections(write(tmp_path, [found()]), IMAGES)

    assert (one.image, one.image_id, one.box, one.score) == (Path("b.jpg"), 9, (1, 2, 30, 40), 0.75)
    assert one.name == "detection 0"


def test_other_things_than_people_are_left_out(tmp_path: Path) -> None:
    file = write(tmp_path, [found(category_id=18), found(), {**found(), "image_id": 7}])

    assert [one.index for one in read_detections(file, IMAGES)] == [1, 2]


def test_a_file_of_people_alone_need_not_say_so(tmp_path: Path) -> None:
    record = found()
    del record["category_id"]

    assert len(read_detections(write(tmp_path, [record]), IMAGES)) == 1


def test_only_people_of_chosen_pictures_are_given_when_asked(tmp_path: Path) -> None:
    file = write(tmp_path, [found(), found(image_id=7)])

    assert [one.image_id for one in read_detections(file, IMAGES, chosen={7})] == [7]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"detections": []}, "is no list; expected COCO's results format"),
        ([], "holds no person: no detection is of category 1"),
        ([found(category_id=2)], "holds no person"),
        ([5], "detection 0 is not in COCO's results format"),
        ([found(), {"image_id": 9, "bbox": [1, 2, 3, 4]}], "detection 1 .*KeyError.'score'"),
        ([found(bbox=[1, 2, 3])], "detection 0 is not in COCO's results format"),
        ([found(bbox="wide")], "detection 0 is not in COCO's results format"),
        ([found(bbox=[1, 2, 0, 4])], "detection 0: the box is .* a positive width and height"),
        ([found(score=float("nan"))], "detection 0: .* the score nan; expected finite"),
        ([found(image_id=8)], "detection 0 is of picture 8, which the labels do not list"),
        ([found(image_id=[9])], "detection 0 is not in COCO's results format"),
    ],
)
def test_a_file_in_another_format_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(BadDataset, match=rf"found\.json.*{message}"):
        read_detections(write(tmp_path, content), IMAGES)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text("[")
    with pytest.raises(BadDataset, match=r"found\.json is not JSON"):
        read_detections(tmp_path / "found.json", IMAGES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match=r"found\.json cannot be read: No such file"):
        read_detections(tmp_path / "found.json", IMAGES)


def test_crowds_and_people_without_keypoints_are_kept_to_be_ignored(tmp_path: Path) -> None:
    boxed = {"id": 7, "image_id": 0, "bbox": [0, 0, 9, 8]}
    directory = write_labels(tmp_path, person(1, ALL_SEEN), boxed, person(1, [0.0] * 51, id=8, iscrowd=1))
    pictures = read_labelled_pictures(directory, "val")

    assert list(pictures.images) == [0, 1]
    assert [(t["id"], t["num_keypoints"], t["iscrowd"], t["area"]) for t in pictures.truths] == [
        (101, 17, 0, 2400),
        (7, 0, 0, 72),
        (8, 0, 1, 2400),
    ]


def test_the_first_pictures_come_with_their_labels(tmp_path: Path) -> None:
    directory = write_labels(tmp_path, person(1, ALL_SEEN), person(0, ALL_SEEN))
    pictures = read_labelled_pictures(directory, "val")
    first = first_pictures(pictures, 1)

    assert (list(first.images), [truth["id"] for truth in first.truths]) == ([0], [100])
    assert first_pictures(pictures, None) == pictures


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("x", "annotation 'x' is not in COCO's keypoint format"),
        (person(0, [1.0] * 50), "annotation 100: expected a box of 4 and keypoints of 51 finite numbers"),
        (person(0, [float("inf")] * 51), "annotation 100: expected a box"),
        (person(0, ALL_SEEN, bbox=[1, 2]), "annotation 100: expected a box"),
        (person(0, ALL_SEEN, bbox=[1, 2, 3, 4, 5]), "annotation 100: expected a box"),
        (person(0, ALL_SEEN, image_id=5), "annotation 100 is of picture 5, which the file does not list"),
        ({"image_id": 0, "bbox": [0, 0, 1, 1]}, "annotation None is not .*KeyError.'id'"),
    ],
)
def test_labels_in_another_format_are_named(tmp_path: Path, annotation: Any, message: str) -> None:
    with pytest.raises(BadDataset, match=rf"val\.json, {message}"):
        read_labelled_pictures(write_labels(tmp_path, annotation), "val")
