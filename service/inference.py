"""From the bytes of a picture to the bytes of an answer: decode, queue, model, encode."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.engine.letterbox import Canvas
from hrformer.images.decode import Limits, decode, read_header
from service.admission import Admission, Hold
from service.answers import PoseResult, SegmentResult
from service.batcher import Batcher, Ticket
from service.deadline import Deadline
from service.decoding import Pool
from service.device import Key, Kind
from service.exchange import Exchange
from service.formats.table import Format
from service.metrics import Metrics
from service.models import PoseModel, SegmentationModel, Served
from service.option_values import Box, check_boxes_meet_image
from service.options import PoseOptions, SegmentOptions

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """One picture on its way."""

    image: bytes
    exchange: Exchange
    deadline: Deadline
    is_urgent: bool
    hold: Hold


@dataclass(frozen=True)
class People:
    """A decoded picture with the crops of its people."""

    width: int  # px, of the upright picture
    height: int
    boxes: Sequence[Box]
    crops: Sequence[Tensor]  # (3, height, width) uint8 each
    matrices: Tensor | None  # None when there is no box
    pixels: Pixels | None  # where the answer needs them


@dataclass(frozen=True)
class Scene:
    """A decoded picture on its canvas."""

    canvas: Canvas
    pixels: Pixels | None  # where the answer needs them


@dataclass(frozen=True)
class Inference:
    """The way of a picture through the pools and the batcher."""

    batcher: Batcher[Key, Tensor, Tensor]
    decoding: Pool
    encoding: Pool
    admission: Admission
    metrics: Metrics
    limits: Limits

    async def pose(self, job: Job, served: Served, options: PoseOptions, form: Format[PoseResult]) -> bytes:
        """The encoded answer. raises: ImageError kin, Problem, Refused kin, whatever the model raises."""
        kind = Kind(served.name, options.flip_test)
        count = 1 if options.boxes is None else len(options.boxes)
        with self.admission.work(kind, count, job.deadline, urgent=job.is_urgent):
            read = partial(
                read_people, job.image, served.model, options.boxes, self.limits, form.needs_pixels
            )
            people = await self._decode(job, read)
            self._count_picture(job, people.pixels, people.width * people.height)
            points = await self._compute(job, kind, people.crops)
        self.metrics.people_per_image.labels(served.name).observe(len(people.boxes))

        def encode() -> bytes:
            found = []
            if people.matrices is not None:
                found = served.model.finish(torch.stack(list(points)), people.matrices, people.boxes)
            timing = job.exchange.milliseconds() if options.timing else None
            result = PoseResult(
                served,
                job.exchange.request_id,
                people.width,
                people.height,
                found,
                options,
                timing,
                people.pixels,
            )
            return form.encode(result)

        with job.exchange.during("encode"):
            return await self.encoding.run(encode)

    async def segment(
        self, job: Job, served: Served, options: SegmentOptions, form: Format[SegmentResult]
    ) -> bytes:
        """The encoded answer. raises: ImageError kin, Problem, Refused kin, whatever the model raises."""
        kind = Kind(served.name)
        with self.admission.work(kind, 1, job.deadline, urgent=job.is_urgent):
            read = partial(read_scene, job.image, served.model, self.limits, form.needs_pixels)
            scene = await self._decode(job, read)
            self._count_picture(job, scene.pixels, scene.canvas.width * scene.canvas.height)
            [logits] = await self._compute(job, kind, [scene.canvas.pixels])

        def encode() -> bytes:
            class_map = np.asarray(served.model.finish(logits, scene.canvas))
            timing = job.exchange.milliseconds() if options.timing else None
            result = SegmentResult(served, job.exchange.request_id, class_map, timing, scene.pixels)
            return form.encode(result)

        with job.exchange.during("encode"):
            return await self.encoding.run(encode)

    async def _decode(self, job: Job, read: Callable[[], Any]) -> Any:
        with job.exchange.during("decode"):
            return await self.decoding.run(read)

    def _count_picture(self, job: Job, pixels: Pixels | None, area: int) -> None:
        self.metrics.image_pixels.observe(area)
        if pixels is not None:
            self.admission.keep(job.hold, pixels.nbytes)

    async def _compute(self, job: Job, kind: Kind, items: Sequence[Tensor]) -> Sequence[Tensor]:
        """The model's answer for each item. Whatever is not begun when this ends is taken back."""
        if not items:
            return []
        job.exchange.stage = "wait"
        key = Key(kind, tuple(items[0].shape))
        tickets = self.batcher.submit(key, items, expires_at=job.deadline.expires_at, urgent=job.is_urgent)
        try:
            return await asyncio.gather(*(ticket.result for ticket in tickets))
        finally:
            for ticket in tickets:
                ticket.result.cancel()
            _note_times(job.exchange, tickets)


def _note_times(exchange: Exchange, tickets: Sequence[Ticket[Key, Tensor, Tensor]]) -> None:
    """Wait until the first item began, and from there to the last that ended."""
    now = exchange.clock()
    started = [ticket.started_at for ticket in tickets if ticket.started_at is not None]
    begun = min(started, default=now)
    exchange.stages["wait"] = begun - tickets[0].arrived_at
    if started:
        exchange.stage = "model"
        exchange.stages["model"] = max(ticket.finished_at or now for ticket in tickets) - begun


def read_people(
    image: bytes, model: PoseModel, given: Sequence[Box] | None, limits: Limits, needs_pixels: bool
) -> People:
    """The picture and the crops of its boxes; the whole picture when none are given.

    raises: ImageError kin; Problem `bad-box` for a box without any pixel of the image.
    """
    header = read_header(image, limits)
    boxes = [(0.0, 0.0, float(header.width), float(header.height))] if given is None else given
    check_boxes_meet_image(boxes, header.width, header.height)
    clipped = [clip(box, header.width, header.height) for box in boxes]
    shrink = 1 if needs_pixels or not boxes else model.shrink(header.width, header.height, clipped)
    picture = decode(image, limits, shrink=shrink)
    crops: Sequence[Tensor] = []
    matrices = None
    if boxes:
        batch, matrices = model.prepare(picture, clipped)
        crops = batch.unbind(0)
    pixels = picture.pixels if needs_pixels else None
    return People(header.width, header.height, boxes, crops, matrices, pixels)


def read_scene(image: bytes, model: SegmentationModel, limits: Limits, needs_pixels: bool) -> Scene:
    """The picture on its canvas. raises: ImageError kin."""
    header = read_header(image, limits)
    picture = decode(image, limits, shrink=1 if needs_pixels else model.shrink(header.width, header.height))
    return Scene(model.prepare(picture), picture.pixels if needs_pixels else None)


def clip(box: Box, width: int, height: int) -> Box:
    """The part of a box that lies in the image."""
    x, y, box_width, box_height = box
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + box_width, float(width)), min(y + box_height, float(height))
    return left, top, right - left, bottom - top
