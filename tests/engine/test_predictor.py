"""The library's front door."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hrformer
from hrformer.checkpoints.errors import BadManifest, UnknownModel
from hrformer.checkpoints.manifest import write_entry
from hrformer.engine.classification import ClassificationEngine
from hrformer.engine.letterbox import MAX_CANVASES
from hrformer.engine.people import PeopleEngine
from hrformer.engine.picture import ImageLike
from hrformer.engine.pose import PoseEngine
from hrformer.engine.predictor import MAX_CROPS, Predictor, load, load_engine
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.images.errors import BrokenImage, ImageTooSmall, NotAnImage
from tests.engine.stand_ins import random_picture
from tests.material import (
    ASTRONAUT,
    PICTURES,
    class_entry,
    mask_entry,
    people_entry,
    pose_entry,
    saved,
    seeded,
    shallow_people,
    shallow_person,
    shallow_pose,
)


@pytest.fixture(scope="module")
def poses() -> Predictor:
    # A quarter shift: on maps of a network that has learned nothing, UDP's Newton steps are of any length.
    entry = pose_entry(decode={"refine": "shift"})
    return Predictor(PoseEngine(seeded(shallow_pose()), entry, device="cpu"))


@pytest.fixture(scope="module")
def masks() -> Predictor:
    return Predictor(SegmentationEngine(seeded(shallow_person()), mask_entry(), device="cpu"))


@pytest.fixture(scope="module")
def people() -> Predictor:
    return Predictor(PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu"))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest with a model for poses and two that find people, the first of them the default."""
    for entry in (
        pose_entry(decode={"refine": "shift"}),
        mask_entry(),
        people_entry(decode={"threshold": 0.8}),
        people_entry("other-people", input_sizes=((64, 64),)),
    ):
        write_entry(saved(entry, tmp_path), tmp_path / "manifest.toml", default=entry.name == "small-people")
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    return tmp_path


def opened(file: Path) -> Image.Image:
    image = Image.open(file)
    image.load()  # which closes the file
    return image


FORMS: dict[str, ImageLike] = {
    "path": ASTRONAUT,
    "text": str(ASTRONAUT),
    "bytes": ASTRONAUT.read_bytes(),
    "pil": opened(ASTRONAUT),
    "array": np.asarray(opened(ASTRONAUT)),
}


BOX = [[120.0, 30.0, 60.0, 60.0]]  # small enough to be decoded whole in every form


@pytest.mark.parametrize("form", list(FORMS))
def test_an_image_may_come_as_path_bytes_pil_or_array(poses: Predictor, form: str) -> None:
    (expected,) = poses.pose(ASTRONAUT, BOX)
    (person,) = poses.pose(FORMS[form], BOX)  # type: ignore[call-overload]

    np.testing.assert_allclose(person.keypoints[:, :2], expected.keypoints[:, :2], atol=0.1)


def test_a_list_of_images_gives_a_list(poses: Predictor) -> None:
    images = list(FORMS.values())
    people = poses.pose(images, [BOX] * len(images))

    assert [len(found) for found in people] == [1] * len(images)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_pil_images_as_to_files(
    tmp_path: Path, masks: Predictor, orientation: int
) -> None:
    file = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(random_picture(80, 50)).save(file, exif=exif)
    from_pil, from_file = masks.segment(opened(file)), masks.segment(file)

    assert from_pil.shape == ((50, 80) if orientation < 5 else (80, 50))
    np.testing.assert_array_equal(from_pil, from_file)


def test_an_answer_does_not_depend_on_the_others_in_its_batch(poses: Predictor) -> None:
    boxes = [[10.0 + 3 * i, 20.0 + 2 * i, 150.0 + i, 200.0 - i] for i in range(MAX_CROPS + 6)]
    picture = FORMS["array"]  # a file would be decoded as small as the boxes allow
    together = poses.pose(picture, boxes)  # type: ignore[call-overload]
    alone = [poses.pose(picture, [boxes[index]])[0] for index in (0, 40, -1)]  # type: ignore[call-overload]

    for one, other in zip(alone, (together[0], together[40], together[-1]), strict=True):
        np.testing.assert_allclose(one.keypoints[:, :2], other.keypoints[:, :2], atol=0.1)
        np.testing.assert_allclose(one.keypoints[:, 2], other.keypoints[:, 2], atol=0.001)


def test_images_run_together_answer_as_alone(poses: Predictor) -> None:
    files: list[ImageLike] = [ASTRONAUT, PICTURES / "camera.png", PICTURES / "grace_hopper.jpg"]
    together = poses.pose(files)

    for file, (person,) in zip(files, together, strict=True):
        (alone,) = poses.pose(file)  # type: ignore[call-overload]
        np.testing.assert_allclose(person.keypoints, alone.keypoints, atol=0.1)
        assert person.box == alone.box


def test_a_picture_without_boxes_among_others_has_no_people(poses: Predictor) -> None:
    assert [len(people) for people in poses.pose([ASTRONAUT, ASTRONAUT], [[], BOX])] == [0, 1]


def test_no_images_give_no_answers(poses: Predictor, masks: Predictor) -> None:
    assert poses.pose([]) == []
    assert masks.segment([]) == []


def test_the_same_image_gives_the_same_answer(poses: Predictor) -> None:
    first, second = poses.pose(ASTRONAUT), poses.pose(ASTRONAUT)

    assert np.array_equal(first[0].keypoints, second[0].keypoints)


def test_a_mask_has_the_size_of_the_picture(masks: Predictor) -> None:
    class_map = masks.segment(PICTURES / "grace_hopper.jpg")

    assert (class_map.shape, class_map.dtype) == ((600, 512), np.uint8)


def test_a_model_for_masks_has_no_keypoints(masks: Predictor) -> None:
    with pytest.raises(ValueError, match="'small-person' is for segmentation; expected one for pose"):
        masks.pose(ASTRONAUT)


def test_a_model_for_keypoints_has_no_masks(poses: Predictor) -> None:
    with pytest.raises(ValueError, match="'small-pose' is for pose; expected one for segmentation"):
        poses.segment(ASTRONAUT)


def test_as_many_lists_of_boxes_as_images_are_needed(poses: Predictor) -> None:
    with pytest.raises(ValueError, match="2 images but 1 lists of boxes"):
        poses.pose([ASTRONAUT, ASTRONAUT], [BOX])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((20, 20), np.uint8), r"uint8 of shape \(20, 20\)"),
        (np.zeros((20, 20, 4), np.uint8), r"uint8 of shape \(20, 20, 4\)"),
        (np.zeros((20, 20, 3), np.float32), "float32 of shape"),
        (np.zeros((0, 20, 3), np.uint8), r"uint8 of shape \(0, 20, 3\)"),
        (Image.new("F", (20, 20)), "mode F"),
    ],
)
def test_an_image_of_another_kind_is_refused(masks: Predictor, image: ImageLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        masks.segment(image)  # type: ignore[call-overload]


def test_bytes_that_are_no_picture_are_refused(masks: Predictor) -> None:
    with pytest.raises(NotAnImage):
        masks.segment(b"once upon a time, there was a text")


def test_a_truncated_picture_is_refused(masks: Predictor) -> None:
    with pytest.raises(BrokenImage):
        masks.segment(ASTRONAUT.read_bytes()[:20_000])


def test_a_picture_of_a_few_pixels_is_refused(masks: Predictor, tmp_path: Path) -> None:
    Image.new("RGB", (8, 100)).save(tmp_path / "thin.png")
    with pytest.raises(ImageTooSmall):
        masks.segment(tmp_path / "thin.png")


def test_a_path_that_is_not_there_is_an_os_error(masks: Predictor, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        masks.segment(tmp_path / "nothing.jpg")


def test_a_weight_file_is_loaded_by_its_path(tmp_path: Path, poses: Predictor) -> None:
    entry = saved(pose_entry(decode={"refine": "shift"}), tmp_path)
    (expected,) = poses.pose(ASTRONAUT, "whole")
    (person,) = hrformer.load(entry.file, device="cpu").pose(ASTRONAUT, "whole")

    np.testing.assert_allclose(person.keypoints, expected.keypoints, atol=1e-3)


def test_an_unknown_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.toml").write_text("format = 1\n")
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    with pytest.raises(UnknownModel, match="there is no model 'nobody'"):
        load("nobody")


def test_a_model_for_another_task_is_refused() -> None:
    entry = pose_entry(task="depth")
    with pytest.raises(ValueError, match="is for depth; expected one for pose or segmentation or"):
        load_engine(entry)


def test_threads_are_set_for_the_process(tmp_path: Path) -> None:
    file = saved(pose_entry(), tmp_path).file
    try:
        load(file, device="cpu", threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_no_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="threads is 0; expected 1 or more"):
        load(tmp_path / "x.safetensors", threads=0)


def test_pictures_are_classified_alone_as_together() -> None:
    entry = class_entry()
    predictor = Predictor(ClassificationEngine(seeded(entry.config), entry, device="cpu"))
    pictures = [random_picture(60 + i, 90, seed=i) for i in range(3)]
    alone = [predictor.classify(picture, top=2) for picture in pictures]
    together = predictor.classify(list(pictures), top=2)

    assert [[name for name, _ in found] for found in together] == [[n for n, _ in found] for found in alone]
    assert [len(found) for found in together] == [2, 2, 2]
    for one, other in zip(alone, together, strict=True):
        assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-5)


def test_no_pictures_have_no_classes() -> None:
    entry = class_entry()
    engine = ClassificationEngine(seeded(entry.config), entry, device="cpu")

    assert Predictor(engine).classify([]) == []


def test_people_are_boxes_with_scores(people: Predictor) -> None:
    found = people.people(ASTRONAUT, box_threshold=0.0, max_people=4)

    assert len(found) == 4
    for (x, y, width, height), score in found:
        assert 0 <= x < x + width <= 512
        assert 0 <= y < y + height <= 512
        assert 0 < score <= 1


def test_people_of_a_list_of_pictures_are_those_of_each(people: Predictor) -> None:
    pictures: list[ImageLike] = [random_picture(60 + i, 90, seed=i) for i in range(MAX_CANVASES + 2)]
    together = people.people(pictures, box_threshold=0.6)
    alone = [people.people(picture, box_threshold=0.6) for picture in pictures]  # type: ignore[call-overload]

    assert [len(found) for found in together] == [len(found) for found in alone]
    for found, others in zip(together, alone, strict=True):
        for (box, score), (other, other_score) in zip(found, others, strict=True):
            np.testing.assert_allclose(box, other, atol=0.02)
            assert score == pytest.approx(other_score, abs=1e-4)
    assert people.people([]) == []


def test_a_model_for_people_has_no_keypoints(people: Predictor, poses: Predictor) -> None:
    with pytest.raises(ValueError, match="'small-people' is for people; expected one for pose"):
        people.pose(ASTRONAUT)
    with pytest.raises(ValueError, match="'small-pose' is for pose; expected one for people"):
        poses.people(ASTRONAUT)


@pytest.mark.parametrize("options", [{"max_people": 0}, {"box_threshold": -0.1}])
def test_who_is_looked_for_must_make_sense(
    people: Predictor, poses: Predictor, options: dict[str, float]
) -> None:
    for ask in (people.people, poses.pose):
        with pytest.raises(ValueError, match=f"{next(iter(options))} is .*; expected"):
            ask(ASTRONAUT, **options)  # type: ignore[operator]


def test_everyone_is_found_by_the_default_model_of_the_manifest(weights: Path) -> None:
    found = hrformer.load("small-people", device="cpu").people(ASTRONAUT)
    people = hrformer.load("small-pose", device="cpu").pose(ASTRONAUT)
    given = hrformer.load("small-pose", device="cpu").pose(ASTRONAUT, [box for box, _ in found])

    assert len(people) > 1
    assert {person.box: person.box_score for person in people} == dict(found)
    for person in people:
        (same,) = (one for one in given if one.box == person.box)
        assert np.array_equal(person.keypoints, same.keypoints)


def test_the_options_of_finding_reach_the_finder(weights: Path) -> None:
    found = hrformer.load("small-people", device="cpu").people(ASTRONAUT, box_threshold=0.1, max_people=5)
    people = hrformer.load("small-pose", device="cpu").pose(ASTRONAUT, box_threshold=0.1, max_people=5)

    assert {person.box for person in people} == {box for box, _ in found}
    assert len(found) == 5


def test_another_finder_may_be_chosen_by_name_or_file(weights: Path) -> None:
    other = hrformer.load("other-people", device="cpu").people(ASTRONAUT)
    for finder in ("other-people", weights / "other-people.safetensors"):
        people = hrformer.load("small-pose", device="cpu", finder=finder).pose(ASTRONAUT)

        assert {person.box for person in people} == {box for box, _ in other}


def test_without_a_finder_the_whole_picture_is_taken(weights: Path) -> None:
    (person,) = hrformer.load("small-pose", device="cpu", finder=None).pose(ASTRONAUT)

    assert person.box == (0, 0, 512, 512)


def test_whole_takes_the_whole_picture_though_people_could_be_found(weights: Path) -> None:
    predictor = hrformer.load("small-pose", device="cpu")
    several = predictor.pose([ASTRONAUT, PICTURES / "camera.png"], "whole")

    assert [person.box for person in predictor.pose(ASTRONAUT, "whole")] == [(0, 0, 512, 512)]
    assert [[person.box for person in people] for people in several] == [
        [(0, 0, 512, 512)],
        [(0, 0, 256, 256)],
    ]


def test_a_finder_is_read_when_it_is_first_needed_and_once(weights: Path) -> None:
    file = weights / "small-people.safetensors"
    predictor, content = hrformer.load("small-pose", device="cpu"), file.read_bytes()
    file.unlink()
    predictor.pose(ASTRONAUT, BOX)
    with pytest.raises(ValueError, match=r"small-people\.safetensors cannot be read: No such file"):
        predictor.pose(ASTRONAUT)
    file.write_bytes(content)
    first = predictor.pose(ASTRONAUT)
    file.unlink()

    assert [person.box for person in predictor.pose(ASTRONAUT)] == [person.box for person in first]


@pytest.mark.parametrize(
    ("name", "finder", "message"),
    [
        (
            "small-pose",
            "small-person",
            "finder 'small-person' is for segmentation; expected a model for people",
        ),
        ("small-pose", "nobody", "there is no model 'nobody'"),
        (
            "small-person",
            "small-people",
            "'small-person' is for segmentation; only one for pose takes a finder",
        ),
    ],
)
def test_a_finder_that_does_not_fit_is_refused(weights: Path, name: str, finder: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hrformer.load(name, device="cpu", finder=finder)


def test_a_weight_file_needs_no_manifest_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path / "nowhere"))
    file = saved(pose_entry(), tmp_path).file
    (person,) = hrformer.load(file, device="cpu").pose(ASTRONAUT)

    assert person.box == (0, 0, 512, 512)


def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    (tmp_path / "manifest.toml").write_text("format = ")
    with pytest.raises(BadManifest, match="is not a manifest"):
        hrformer.load(saved(pose_entry(), tmp_path).file)
