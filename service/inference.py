"""From the bytes of a picture to the bytes of an answer: its mask, its people, and then their poses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrformer.engine.finding import best_first
from hrformer.engine.letterbox import Canvas
from hrformer.engine.picture import Source
from hrformer.engine.pose import whole_box
from hrformer.engine.results import Detection, Person
from hrformer.engine.search import Search
from hrformer.images.decode import Header, Limits, read_header
from service.admission import Work
from service.answers import PeopleResult, PoseResult, SegmentResult
from service.batcher import Place
from service.decoding import Pool
from service.device import Kind
from service.formats.table import Format
from service.models import Boxes, Served
from service.option_values import check_boxes_meet_image
from service.options import PeopleOptions, PoseOptions, SegmentOptions
from service.reading import NOBODY, Crops, Scene, read_crops, read_scene, source_of
from service.stage import InLine, Job, Part, Stage, Stages

LIGHT_ITEMS = 4  # the text of so many people is written in less time than a thread is woken
LEAST = 8  # the reduction of a picture of which no pixel is wanted, though it must be a whole one


@dataclass(frozen=True)
class Poses:
    """What is asked of `/pose`."""

    job: Job
    header: Header
    served: Served
    options: PoseOptions
    form: Format[PoseResult]

    def stage(self, boxes: Boxes, part: Part) -> Stage:
        """That of the pose model."""
        width, height = self.header.width, self.header.height
        shrink = self.served.model.shrink(width, height, boxes) if boxes else LEAST
        flip_test, draws = self.options.flip_test, self.form.needs_pixels
        return Stage(self.served, self.header, shrink, len(boxes), part, flip_test, draws)

    def finish(self, crops: Crops, keypoints: Sequence[Tensor]) -> list[Person]:
        """In the order of the boxes given, or best first."""
        if crops.matrices is None:
            return []
        # A stack of one is a copy that costs as much as all the rest.
        points = torch.stack(list(keypoints)) if len(keypoints) > 1 else keypoints[0][None]
        people: list[Person] = self.served.model.finish(points, crops.matrices, crops.boxes, crops.scores)
        return people if crops.scores is None else best_first(people)


@dataclass(frozen=True)
class Inference:
    """The way of a picture through the pools and the batcher."""

    stages: Stages
    encoding: Pool
    limits: Limits

    async def pose(
        self,
        job: Job,
        served: Served,
        finder: Served | None,
        options: PoseOptions,
        form: Format[PoseResult],
    ) -> bytes:
        """The encoded answer. Where there are neither boxes nor a finder, the whole picture is one person.

        raises: ImageError kin, Problem, Refused kin, whatever a model raises.
        """
        header = read_header(job.image, self.limits)
        asked, found_by = Poses(job, header, served, options, form), None
        if options.boxes is None and finder is not None:
            found_by = finder
            crops, line = await self._find(asked, finder)
        else:
            crops, line = await self._crop_given(asked)
        keypoints = await self.stages.answers(job, line)
        self._count_people(served, len(crops.boxes))

        def encode() -> bytes:
            people = asked.finish(crops, keypoints)
            size = header.width, header.height
            request_id, timing = job.exchange.request_id, _timing(job, options.timing)
            return form.encode(
                PoseResult(served, request_id, *size, people, options, found_by, timing, crops.pixels)
            )

        return await self._encode(job, form, header.width * header.height, len(crops.boxes), encode)

    async def people(
        self, job: Job, served: Served, options: PeopleOptions, form: Format[PeopleResult]
    ) -> bytes:
        """The encoded answer. raises: as `pose`."""
        scene, rows = await self._see(job, served, form)
        found = self._found(served, rows, scene.canvas, options.search)
        size = scene.canvas.width, scene.canvas.height

        def encode() -> bytes:
            request_id, timing = job.exchange.request_id, _timing(job, options.timing)
            return form.encode(PeopleResult(served, request_id, *size, found, timing, scene.pixels))

        return await self._encode(job, form, size[0] * size[1], len(found), encode)

    async def segment(
        self, job: Job, served: Served, options: SegmentOptions, form: Format[SegmentResult]
    ) -> bytes:
        """The encoded answer. raises: as `pose`."""
        scene, logits = await self._see(job, served, form)

        def encode() -> bytes:
            class_map = np.asarray(served.model.finish(logits, scene.canvas))
            request_id, timing = job.exchange.request_id, _timing(job, options.timing)
            return form.encode(SegmentResult(served, request_id, class_map, timing, scene.pixels))

        return await self._encode(job, form, scene.canvas.width * scene.canvas.height, 1, encode)

    async def _see(self, job: Job, served: Served, form: Format[Any]) -> tuple[Scene, Tensor]:
        """The picture on its canvas, and what the model says of it."""
        header = read_header(job.image, self.limits)
        shrink = served.model.shrink(header.width, header.height)
        stage = Stage(served, header, shrink, 1, draws=form.needs_pixels)
        # The source goes with the call, and its pixels are not kept while the model is waited for.
        scene, line = await self.stages.line_up(
            job,
            stage,
            self._work(job, stage, form),
            partial(read_scene, source_of(job.image, header, self.limits), stage),
        )
        [answer] = await self.stages.answers(job, line)
        return scene, answer

    async def _find(self, asked: Poses, finder: Served) -> tuple[Crops, InLine]:
        """Everyone who is found, in line for the pose model at the place that the picture had."""
        job, source = asked.job, source_of(asked.job.image, asked.header, self.limits)
        stage = self._finding(asked, finder)
        work = self._work(job, stage, asked.form, then=asked.stage([], Part.SECOND).kind)
        scene, line = await self.stages.line_up(job, stage, work, partial(read_scene, source, stage))
        with self.stages.admission.searching(work):
            [rows] = await self.stages.answers(job, line)
        found = self._found(finder, rows, scene.canvas, asked.options.search)
        self.stages.admission.keep(job.hold, -stage.held_bytes)  # the crops are counted anew
        boxes, scores = [one.box for one in found], [one.score for one in found]
        return await self._crop(asked, source, boxes, scores, line.tickets[0].place)

    def _finding(self, asked: Poses, finder: Served) -> Stage:
        shrink = finder.model.shrink(asked.header.width, asked.header.height)
        expected = self.stages.admission.people_expected(Kind(finder.name))
        crop_bytes = asked.stage([], Part.SECOND).item_bytes
        return Stage(finder, asked.header, shrink, 1, Part.FIRST, reserved_bytes=round(expected * crop_bytes))

    async def _crop_given(self, asked: Poses) -> tuple[Crops, InLine]:
        width, height, given = asked.header.width, asked.header.height, asked.options.boxes
        boxes = given if isinstance(given, tuple) else (whole_box(width, height),)
        check_boxes_meet_image(boxes, width, height)
        return await self._crop(asked, source_of(asked.job.image, asked.header, self.limits), boxes)

    async def _crop(
        self,
        asked: Poses,
        source: Source,
        boxes: Boxes,
        scores: Sequence[float] | None = None,
        place: Place | None = None,
    ) -> tuple[Crops, InLine]:
        """The people in these boxes, in line for the pose model."""
        stage = asked.stage(boxes, Part.ONLY if scores is None else Part.SECOND)
        if scores == [] and not stage.draws:
            return NOBODY, InLine(stage, [], 0.0)
        work = self._work(asked.job, stage, asked.form)
        read = partial(read_crops, source, stage, boxes, scores)
        return await self.stages.line_up(asked.job, stage, work, read, place)

    def _work(self, job: Job, stage: Stage, form: Format[Any], then: Kind | None = None) -> Work:
        decoding, pixels = self.stages.decoding, stage.pixels
        before_s = decoding.wait_s(stage.decoding, pixels, urgent=job.is_urgent)
        if then is not None:
            before_s += decoding.expected_s((stage.header.format, Part.SECOND.value), pixels)
        after_s = self.encoding.wait_s(form, pixels, urgent=job.is_urgent)
        is_begun = stage.part is Part.SECOND
        return Work(stage.kind, stage.count, job.is_urgent, before_s, after_s, then, is_begun)

    def _found(self, finder: Served, rows: Tensor, canvas: Canvas, search: Search) -> list[Detection]:
        found: list[Detection] = finder.model.finish(
            rows, canvas, box_threshold=search.box_threshold, max_people=search.max_people
        )
        self.stages.admission.found(Kind(finder.name), len(found))
        self._count_people(finder, len(found))
        return found

    def _count_people(self, served: Served, count: int) -> None:
        self.stages.metrics.people_per_image(served.name).observe(count)

    async def _encode(
        self, job: Job, form: Format[Any], pixels: int, items: int, encode: Callable[[], bytes]
    ) -> bytes:
        with job.exchange.during("encode"):
            if form.is_light and items <= LIGHT_ITEMS:
                return encode()
            return await self.encoding.run(encode, kind=form, size=pixels, urgent=job.is_urgent)


def _timing(job: Job, wanted: bool) -> dict[str, float] | None:
    return job.exchange.milliseconds() if wanted else None
