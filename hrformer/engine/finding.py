"""Everyone's pose: a model that finds people, then one that estimates the pose of each.

Both engines work in three steps: `prepare` (any thread), `run` (the thread that owns the models; any number
at once, of several pictures) and `finish` (any thread). Only boxes go from the first engine to the second:

    canvas = finder.prepare(source.picture(finder.shrink(width, height)))
    rows = finder.run(torch.stack([canvas.pixels, …]))      # pictures whose canvases have one size
    found = finder.finish(rows[0], canvas, box_threshold=0.3, max_people=32)

    boxes = [person.box for person in found]                # nobody: nothing is left to do
    crops, matrices = poses.prepare(source.picture(poses.shrink(width, height, boxes)), boxes)
    keypoints = poses.run(crops)                            # crops of all pictures
    people = best_first(poses.finish(keypoints, matrices, boxes, [person.score for person in found]))

A JPEG is decoded for each at the reduction that it allows, a second time only where these differ. A finer
picture that is at hand would do as well, but not give what the same boxes give when the caller names them. On
80 photographs of 0.2 to 0.7 megapixels the second decoding took 0.8 to 1.5 ms of one core; without it the
keypoints lay 0.15 px elsewhere (median), in one photograph of ten one of them 1.7 px.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from hrformer.engine.letterbox import batches
from hrformer.engine.people import PeopleEngine
from hrformer.engine.picture import Source
from hrformer.engine.pose import PoseEngine, check_boxes, whole_box
from hrformer.engine.results import Detection, Person
from hrformer.engine.search import Search
from hrformer.geometry.boxes import Boxes

Asked: TypeAlias = Boxes | Literal["whole"] | None  # of one picture; None: people are found first
OpenFinder: TypeAlias = Callable[[], PeopleEngine]  # gives the same one whenever it is called

WHOLE = "whole"  # in place of boxes: the whole picture is one person
MAX_CROPS = 64  # in one run of a pose network
_LEAST = 8  # the reduction of a picture of which no pixel is wanted, though it must be a whole one


@dataclass(frozen=True)
class Crops:
    """The people of one picture, as a pose network takes them."""

    pixels: Tensor  # (people, 3, height, width) uint8
    matrices: Tensor  # (people, 2, 3), picture to crop, px
    boxes: Boxes
    scores: Sequence[float] | None  # of the boxes; None where they were given


def find_people(
    finder: PeopleEngine, sources: Sequence[Source], search: Search = Search()
) -> list[list[Detection]]:
    """Who is found in each picture, best first. Canvases of one size are run together.

    raises: ImageError kin.
    """
    canvases = [
        finder.prepare(source.picture(finder.shrink(source.width, source.height))) for source in sources
    ]
    rows: dict[int, Tensor] = {}
    for together in batches(canvases):
        run = finder.run(torch.stack([canvases[index].pixels for index in together]))
        rows |= dict(zip(together, run, strict=True))
    return [
        finder.finish(rows[index], canvas, box_threshold=search.box_threshold, max_people=search.max_people)
        for index, canvas in enumerate(canvases)
    ]


def crop_people(
    engine: PoseEngine,
    sources: Sequence[Source],
    asked: Sequence[Asked],
    search: Search = Search(),
    open_finder: OpenFinder | None = None,
) -> list[Crops]:
    """The crops of each picture, whose people are found first where nobody says where they are.

    open_finder: called if anybody has to be found; without, the whole picture is taken as one person.
    raises: BadBox, before its picture is decoded; ValueError for another word than "whole"; ImageError kin.
    """
    wanted = [WHOLE if boxes is None and open_finder is None else boxes for boxes in asked]
    unknown = [source for source, boxes in zip(sources, wanted, strict=True) if boxes is None]
    found = iter(find_people(open_finder(), unknown, search) if open_finder and unknown else ())
    return [
        _crops_of_found(engine, source, next(found))
        if boxes is None
        else _crops_of_boxes(engine, source, boxes)
        for source, boxes in zip(sources, wanted, strict=True)
    ]


def estimate_poses(
    engine: PoseEngine, crops: Sequence[Crops], *, flip_test: bool = False, at_once: int = MAX_CROPS
) -> list[list[Person]]:
    """People of each picture: in the order of the boxes given, or best first.

    at_once: crops that are run together, of whatever picture.
    """
    counts = [len(one.boxes) for one in crops]
    if sum(counts) == 0:
        return [[] for _ in crops]
    chunks = torch.split(torch.cat([one.pixels for one in crops]), at_once)
    keypoints = torch.split(torch.cat([engine.run(chunk, flip_test) for chunk in chunks]), counts)
    return [_people(engine, *pair) for pair in zip(keypoints, crops, strict=True)]


def best_first(people: Iterable[Person]) -> list[Person]:
    """People by their scores, as those who were found are answered."""
    return sorted(people, key=lambda person: person.score, reverse=True)


def _crops_of_boxes(engine: PoseEngine, source: Source, asked: Boxes | str) -> Crops:
    if isinstance(asked, str) and asked != WHOLE:
        raise ValueError(f"boxes is {asked!r}; expected a list of [x, y, width, height], or {WHOLE!r}")
    boxes = [whole_box(source.width, source.height)] if isinstance(asked, str) else asked
    check_boxes(boxes, source.width, source.height)
    return _crops(engine, source, boxes, None)


def _crops_of_found(engine: PoseEngine, source: Source, found: Sequence[Detection]) -> Crops:
    """The crops of people who were found; of nobody without decoding again."""
    if not found:
        pixels = torch.zeros(0, 3, *engine.input_size, dtype=torch.uint8)
        return Crops(pixels, torch.zeros(0, 2, 3), [], [])
    return _crops(engine, source, [one.box for one in found], [one.score for one in found])


def _crops(engine: PoseEngine, source: Source, boxes: Boxes, scores: Sequence[float] | None) -> Crops:
    shrink = engine.shrink(source.width, source.height, boxes) if len(boxes) else _LEAST
    pixels, matrices = engine.prepare(source.picture(shrink), boxes)
    return Crops(pixels, matrices, boxes, scores)


def _people(engine: PoseEngine, keypoints: Tensor, crops: Crops) -> list[Person]:
    people = engine.finish(keypoints, crops.matrices, crops.boxes, crops.scores)
    return people if crops.scores is None else best_first(people)
