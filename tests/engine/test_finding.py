"""Everyone's pose without boxes: who is found, then the pose of each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hrformer.engine.finding import crop_people, estimate_poses, find_people
from hrformer.engine.people import PeopleEngine
from hrformer.engine.picture import ImageLike, Source, open_image
from hrformer.engine.pose import BadBox, PoseEngine
from hrformer.engine.results import Detection, Person
from hrformer.engine.search import Search
from hrformer.images.decode import Limits, Picture, decode
from tests.engine.stand_ins import random_picture
from tests.material import ASTRONAUT, PICTURES, people_entry, pose_entry, seeded, shallow_people, shallow_pose
from tests.strategies import quick

# A quarter shift: on maps of a network that has learned nothing, UDP's Newton steps are of any length.
POSE = pose_entry(decode={"refine": "shift"})
EVERYBODY = Search(box_threshold=0.0, max_people=6)


@pytest.fixture(scope="module")
def poses() -> PoseEngine:
    return PoseEngine(seeded(shallow_pose()), POSE, device="cpu")


@pytest.fixture(scope="module")
def finder() -> PeopleEngine:
    return PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu")


class NeverRun(nn.Module):
    """A network that nobody has a reason to run."""

    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError("it was run")


def opened(image: ImageLike) -> Source:
    return open_image(image, Limits())


def found_poses(
    poses: PoseEngine, finder: PeopleEngine, *images: ImageLike, search: Search = EVERYBODY
) -> list[list[Person]]:
    sources = [opened(image) for image in images]
    return estimate_poses(poses, crop_people(poses, sources, [None] * len(sources), search, lambda: finder))


IMAGES: dict[str, ImageLike] = {
    "jpeg": ASTRONAUT,
    "large jpeg": PICTURES / "grace_hopper.jpg",
    "png": PICTURES / "camera.png",
    "array": random_picture(150, 130),
}


@pytest.mark.parametrize("name", list(IMAGES))
def test_people_who_are_found_get_the_keypoints_that_their_boxes_give(
    poses: PoseEngine, finder: PeopleEngine, name: str
) -> None:
    (found,) = found_poses(poses, finder, IMAGES[name])
    boxes = [person.box for person in find_people(finder, [opened(IMAGES[name])], EVERYBODY)[0]]
    (given,) = estimate_poses(poses, crop_people(poses, [opened(IMAGES[name])], [boxes]))

    assert len(found) == 6
    by_box = {person.box: person for person in given}
    for person in found:
        assert np.array_equal(person.keypoints, by_box[person.box].keypoints)
        assert person.score == pytest.approx(person.box_score * by_box[person.box].score, rel=1e-5)


def test_people_who_are_found_come_best_first(poses: PoseEngine, finder: PeopleEngine) -> None:
    (people,) = found_poses(poses, finder, ASTRONAUT)
    scores = [person.score for person in people]

    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_boxes_that_are_given_score_1(poses: PoseEngine) -> None:
    ((person,),) = estimate_poses(poses, crop_people(poses, [opened(ASTRONAUT)], [[[9, 9, 80, 90]]]))

    assert person.box_score == 1


def test_the_most_certain_are_kept(finder: PeopleEngine) -> None:
    def found(search: Search) -> list[Detection]:
        return find_people(finder, [opened(ASTRONAUT)], search)[0]

    everybody = found(Search(box_threshold=0.0, max_people=100))
    scores = [person.score for person in everybody]

    assert scores == sorted(scores, reverse=True)
    assert found(Search(box_threshold=0.0, max_people=3)) == everybody[:3]
    assert found(Search(box_threshold=scores[4])) == everybody[:5]


def test_without_a_threshold_that_of_the_model_counts() -> None:
    entry = people_entry(decode={"threshold": 0.9})
    sure = PeopleEngine(seeded(shallow_people()), entry, device="cpu")
    own, half, asked = (
        find_people(sure, [opened(ASTRONAUT)], search)[0]
        for search in (Search(max_people=100), Search(0.5, 100), Search(0.9, 100))
    )

    assert own == asked
    assert len(own) < len(half)


def test_several_pictures_are_searched_as_alone(poses: PoseEngine, finder: PeopleEngine) -> None:
    images = [*IMAGES.values(), *(random_picture(60 + 7 * seed, 90, seed) for seed in range(8))]
    together = found_poses(poses, finder, *images)

    for image, people in zip(images, together, strict=True):
        (alone,) = found_poses(poses, finder, image)
        assert len(people) == len(alone)
        for one, other in zip(people, alone, strict=True):
            np.testing.assert_allclose(one.box, other.box, atol=0.02)
            np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.1)


@quick
@given(st.integers(20, 200), st.integers(20, 200), st.integers(0, 99))
def test_boxes_lie_in_the_picture_and_show_some_of_it(width: int, height: int, seed: int) -> None:
    engine = PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu")
    (people,) = find_people(
        engine, [opened(random_picture(width, height, seed))], Search(box_threshold=0.0, max_people=100)
    )

    assert people
    for (x, y, wide, high), score in people:
        assert min(wide, high) > 0
        assert 0 <= x <= x + wide <= width + 1e-6
        assert 0 <= y <= y + high <= height + 1e-6
        assert 0 < score <= 1


def test_where_nobody_is_found_nothing_is_estimated() -> None:
    poses = PoseEngine(NeverRun(), POSE, device="cpu")  # type: ignore[arg-type]
    network = seeded(shallow_people())
    nn.init.constant_(network.head.centres.bias, -1000.0)  # type: ignore[union-attr, arg-type]
    finder = PeopleEngine(network, people_entry(), device="cpu")

    assert found_poses(poses, finder, ASTRONAUT) == [[]]


def test_pictures_may_have_boxes_or_none_in_one_call(poses: PoseEngine, finder: PeopleEngine) -> None:
    sources = [opened(image) for image in IMAGES.values()]
    asked = [None, [[5, 5, 60, 80]], "whole", []]
    crops = crop_people(poses, sources, asked, EVERYBODY, lambda: finder)  # type: ignore[arg-type]
    people = estimate_poses(poses, crops)

    assert [len(found) for found in people] == [6, 1, 1, 0]
    assert people[2][0].box == (0, 0, 256, 256)


@pytest.mark.parametrize("asked", ["whole", [[5, 5, 60, 80]], []])
def test_a_finder_that_nobody_needs_is_not_asked_for(poses: PoseEngine, asked: object) -> None:
    def refuse() -> PeopleEngine:
        raise AssertionError("it was asked for")

    crop_people(poses, [opened(ASTRONAUT)], [asked], open_finder=refuse)  # type: ignore[list-item]


def test_without_a_finder_the_whole_picture_is_one_person(poses: PoseEngine) -> None:
    ((person,),) = estimate_poses(poses, crop_people(poses, [opened(IMAGES["array"])], [None]))

    assert person.box == (0, 0, 150, 130)


def test_another_word_than_whole_is_refused(poses: PoseEngine) -> None:
    with pytest.raises(ValueError, match=r"boxes is 'all'; expected a list of .*, or 'whole'"):
        crop_people(poses, [opened(ASTRONAUT)], ["all"])  # type: ignore[list-item]


def test_a_box_outside_is_refused_before_the_picture_is_decoded(poses: PoseEngine) -> None:
    broken = ASTRONAUT.read_bytes()[:20_000]
    with pytest.raises(BadBox, match="box 0 lies outside the image"):
        crop_people(poses, [opened(broken)], [[[600, 0, 10, 10]]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Search(box_threshold=1.2), "box_threshold is 1.2; expected 0 to 1"),
        (lambda: Search(box_threshold=float("nan")), "box_threshold is nan; expected 0 to 1"),
        (lambda: Search(max_people=0), "max_people is 0; expected 1 to 100"),
        (lambda: Search(max_people=101), "max_people is 101; expected 1 to 100"),
    ],
)
def test_a_search_out_of_range_is_refused(make: Callable[[], Search], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("file", "asked", "decoded"),
    [
        (ASTRONAUT, [4, 4], [4]),
        (ASTRONAUT, [2, 4, 4, 1], [2, 4, 1]),
        (PICTURES / "camera.png", [2, 4, 8, 1], [1]),
    ],
)
def test_a_picture_is_decoded_once_for_each_reduction_that_it_has(
    file: Path, asked: list[int], decoded: list[int]
) -> None:
    data, done = file.read_bytes(), []

    def decode_at(shrink: int) -> Picture:
        done.append(shrink)
        return decode(data, shrink=shrink)

    source = Source(512, 512, decode_at, reduces=file.suffix == ".jpg")
    for shrink in asked:
        expected = decode(data, shrink=shrink)
        np.testing.assert_array_equal(source.picture(shrink).pixels, expected.pixels)
    assert done == decoded
