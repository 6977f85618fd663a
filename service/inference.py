"""From the bytes of a picture to the bytes of an answer: decode, queue, model, encode."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.engine.letterbox import Canvas
from hrformer.images.decode import Header, Limits, decode, read_header
from service.admission import Admission, Hold, Work
from service.answers import PoseResult, SegmentResult
from service.batcher import Batcher, Ticket
from service.deadline import Deadline
from service.decoding import Pool
from service.device import Key, Kind
from service.exchange import Exchange
from service.formats.table import Format
from service.metrics import Metrics
from service.models import Served
from service.option_values import Box, check_boxes_meet_image
from service.options import PoseOptions, SegmentOptions

LIGHT_ITEMS = 4  # the text of so many people is written in less time than a thread is woken

Pixels = npt.NDArray[np.uint8]
DeviceBatcher: TypeAlias = Batcher[Key, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Job:
    """One picture on its way."""

    image: bytes
    exchange: Exchange
    deadline: Deadline
    is_urgent: bool
    hold: Hold


class Decoded(Protocol):
    """A decoded picture as the model takes it."""

    @property
    def items(self) -> Sequence[Tensor]: ...


@dataclass(frozen=True)
class People:
    """The crops of a picture's people."""

    items: Sequence[Tensor]  # (3, height, width) uint8 each
    matrices: Tensor | None  # None when there is no box
    pixels: Pixels | None  # where the answer needs them


@dataclass(frozen=True)
class Scene:
    """A picture on its canvas."""

    canvas: Canvas
    pixels: Pixels | None  # where the answer needs them

    @property
    def items(self) -> Sequence[Tensor]:
        return [self.canvas.pixels]


Read = TypeVar("Read", bound=Decoded)


@dataclass(frozen=True)
class Plan:
    """What is going to be done with a picture."""

    served: Served
    header: Header
    shrink: int  # 1, 2, 4 or 8
    count: int  # items for the model
    form: Format[Any]
    flip_test: bool = False

    @property
    def pixels(self) -> int:
        return self.header.width * self.header.height

    @property
    def decoded_bytes(self) -> int:
        """Only JPEG is decoded at less than its size."""
        return 3 * self.pixels // (self.shrink**2 if self.header.format == "JPEG" else 1)

    @property
    def item_bytes(self) -> int:
        return self.count * 3 * max(height * width for height, width in self.served.entry.input_sizes)


@dataclass(frozen=True)
class Inference:
    """The way of a picture through the pools and the batcher."""

    batcher: DeviceBatcher
    decoding: Pool
    encoding: Pool
    admission: Admission
    metrics: Metrics
    limits: Limits

    async def pose(self, job: Job, served: Served, options: PoseOptions, form: Format[PoseResult]) -> bytes:
        """The encoded answer. raises: ImageError kin, Problem, Refused kin, whatever the model raises."""
        header = read_header(job.image, self.limits)
        width, height = header.width, header.height
        boxes = ((0.0, 0.0, float(width), float(height)),) if options.boxes is None else options.boxes
        check_boxes_meet_image(boxes, width, height)
        shrink = 1 if form.needs_pixels or not boxes else served.model.shrink(width, height, boxes)
        plan = Plan(served, header, shrink, len(boxes), form, options.flip_test)
        people, points = await self._compute(
            job, plan, partial(read_people, job.image, plan, boxes, self.limits)
        )
        self.metrics.people_per_image(served.name).observe(len(boxes))

        def encode() -> bytes:
            found = []
            if people.matrices is not None:
                found = served.model.finish(torch.stack(list(points)), people.matrices, boxes)
            timing = job.exchange.milliseconds() if options.timing else None
            request_id = job.exchange.request_id
            return form.encode(
                PoseResult(served, request_id, width, height, found, options, timing, people.pixels)
            )

        return await self._encode(job, plan, encode)

    async def segment(
        self, job: Job, served: Served, options: SegmentOptions, form: Format[SegmentResult]
    ) -> bytes:
        """The encoded answer. raises: ImageError kin, Problem, Refused kin, whatever the model raises."""
        header = read_header(job.image, self.limits)
        shrink = 1 if form.needs_pixels else served.model.shrink(header.width, header.height)
        plan = Plan(served, header, shrink, 1, form)
        scene, [logits] = await self._compute(job, plan, partial(read_scene, job.image, plan, self.limits))

        def encode() -> bytes:
            class_map = np.asarray(served.model.finish(logits, scene.canvas))
            timing = job.exchange.milliseconds() if options.timing else None
            return form.encode(
                SegmentResult(served, job.exchange.request_id, class_map, timing, scene.pixels)
            )

        return await self._encode(job, plan, encode)

    async def _compute(self, job: Job, plan: Plan, read: Callable[[], Read]) -> tuple[Read, Sequence[Tensor]]:
        """The picture as `read` decodes it, and the model's answer for each of its items."""
        before_s = self.decoding.wait_s(plan.header.format, plan.pixels, urgent=job.is_urgent)
        after_s = self.encoding.wait_s(plan.form, plan.pixels, urgent=job.is_urgent)
        kind = Kind(plan.served.name, plan.flip_test)
        with self.admission.places(Work(kind, plan.count, job.is_urgent, before_s, after_s), job.deadline):
            decoded = await self._decode(job, plan, read)
            tickets = self._submit(job, plan, decoded.items)
        return decoded, await _answers(job, tickets)

    async def _decode(self, job: Job, plan: Plan, read: Callable[[], Read]) -> Read:
        self.admission.keep(job.hold, plan.decoded_bytes + plan.item_bytes)
        with job.exchange.during("decode"):
            kind, size = plan.header.format, plan.pixels
            decoded = await self.decoding.run(read, kind=kind, size=size, urgent=job.is_urgent)
        self.metrics.image_pixels.observe(plan.pixels)
        if not plan.form.needs_pixels:
            self.admission.keep(job.hold, -plan.decoded_bytes)
        return decoded

    def _submit(self, job: Job, plan: Plan, items: Sequence[Tensor]) -> list[Ticket[Key, Tensor, Tensor]]:
        job.exchange.stage = "wait"
        if not items:
            return []
        key = Key(plan.served, tuple(items[0].shape), plan.flip_test)
        return self.batcher.submit(key, items, expires_at=job.deadline.expires_at, urgent=job.is_urgent)

    async def _encode(self, job: Job, plan: Plan, encode: Callable[[], bytes]) -> bytes:
        with job.exchange.during("encode"):
            if plan.form.is_light and plan.count <= LIGHT_ITEMS:
                return encode()
            return await self.encoding.run(encode, kind=plan.form, size=plan.pixels, urgent=job.is_urgent)


async def _answers(job: Job, tickets: Sequence[Ticket[Key, Tensor, Tensor]]) -> Sequence[Tensor]:
    """The model's answer for each item. Whatever is not begun when this ends is taken back."""
    try:
        if len(tickets) == 1:  # what `gather` costs is a fifth of the way of a small picture
            return [await tickets[0].result]
        return await asyncio.gather(*(ticket.result for ticket in tickets))
    finally:
        for ticket in tickets:
            ticket.result.cancel()
        _note_times(job.exchange, tickets)


def _note_times(exchange: Exchange, tickets: Sequence[Ticket[Key, Tensor, Tensor]]) -> None:
    """Wait until the first item began, and from there to the last that ended."""
    if not tickets:
        return
    now = exchange.clock()
    started = [ticket.started_at for ticket in tickets if ticket.started_at is not None]
    begun = min(started, default=now)
    exchange.stages["wait"] = begun - tickets[0].arrived_at
    if started:
        exchange.stage = "model"
        exchange.stages["model"] = max(ticket.finished_at or now for ticket in tickets) - begun


def read_people(image: bytes, plan: Plan, boxes: Sequence[Box], limits: Limits) -> People:
    """The crops of boxes that meet the picture. raises: ImageError kin."""
    picture = decode(image, limits, shrink=plan.shrink)
    pixels = picture.pixels if plan.form.needs_pixels else None
    if not boxes:
        return People([], None, pixels)
    crops, matrices = plan.served.model.prepare(picture, boxes)
    return People(crops.unbind(0), matrices, pixels)


def read_scene(image: bytes, plan: Plan, limits: Limits) -> Scene:
    """The picture on its canvas. raises: ImageError kin."""
    picture = decode(image, limits, shrink=plan.shrink)
    canvas = plan.served.model.prepare(picture)
    return Scene(canvas, picture.pixels if plan.form.needs_pixels else None)
