"""A stage of a request: what one model is asked about a picture, from its bytes to the model's answers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from torch import Tensor

from hrformer.images.decode import Header
from service.admission import Admission, Hold, Promise, Work
from service.batcher import Batcher, Place, Ticket
from service.deadline import Deadline
from service.decoding import Pool
from service.device import Key, Kind
from service.exchange import Exchange
from service.metrics import Metrics
from service.models import Served

DeviceBatcher: TypeAlias = Batcher[Key, Tensor, Tensor, Tensor]


class Part(Enum):
    """Which stage of a request it is."""

    ONLY = "only"
    FIRST = "first"  # people are found
    SECOND = "second"  # the poses of those who were found


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


Read = TypeVar("Read", bound=Decoded)


@dataclass(frozen=True)
class Stage:
    """What a model is asked about a picture."""

    served: Served
    header: Header
    shrink: int  # 1, 2, 4 or 8: at which it is decoded for the model
    count: int  # items for the model
    part: Part = Part.ONLY
    flip_test: bool = False
    draws: bool = False  # the answer is drawn over the whole picture, which is kept for it
    reserved_bytes: int = 0  # for the items that the next stage is expected to have

    @property
    def kind(self) -> Kind:
        return Kind(self.served.name, self.flip_test)

    @property
    def pixels(self) -> int:
        return self.header.width * self.header.height

    @property
    def decoding(self) -> tuple[str, str]:
        """What decodings that take alike have in common: the second time there may be nothing to decode."""
        return self.header.format, self.part.value

    @property
    def decoded_bytes(self) -> int:
        """Only JPEG is decoded at less than its size."""
        is_whole = self.draws or self.header.format != "JPEG"
        return 3 * self.pixels // (1 if is_whole else self.shrink**2)

    @property
    def item_bytes(self) -> int:
        """Of one item."""
        return 3 * max(height * width for height, width in self.served.entry.input_sizes)

    @property
    def held_bytes(self) -> int:
        """What is in memory while it is decoded."""
        return self.decoded_bytes + self.count * self.item_bytes + self.reserved_bytes

    @property
    def freed_bytes(self) -> int:
        """What is let go of that when the items are in line."""
        return 0 if self.draws or self.part is Part.FIRST else self.decoded_bytes


@dataclass(frozen=True)
class InLine:
    """Items of a stage that wait for their model, or have their answers."""

    stage: Stage
    tickets: Sequence[Ticket[Key, Tensor, Tensor]]
    since: float  # s of the exchange's clock
    promise: Promise | None = None


@dataclass(frozen=True)
class Stages:
    """The way through the pool that decodes and the batcher, with the limits on it."""

    batcher: DeviceBatcher
    decoding: Pool
    admission: Admission
    metrics: Metrics

    async def line_up(
        self, job: Job, stage: Stage, work: Work, read: Callable[[], Read], place: Place | None = None
    ) -> tuple[Read, InLine]:
        """The picture as `read` decodes it, and its items in line: at the end, or at the place given.

        raises: Refused kin, ImageError kin, QueueFull, Closed.
        """
        with self.admission.places(work, job.deadline) as promise:
            decoded = await self._decode(job, stage, read)
            kept = promise if stage.part is Part.ONLY else None  # of others only a part is promised
            return decoded, self._submit(job, stage, decoded.items, place, kept)

    async def answers(self, job: Job, line: InLine) -> Sequence[Tensor]:
        """The model's answer for each item. Whatever is not begun when this ends is taken back.

        raises: Expired, whatever the model raises.
        """
        tickets = line.tickets
        try:
            if len(tickets) == 1:  # what `gather` costs is a fifth of the way of a small picture
                return [await tickets[0].result]
            return await asyncio.gather(*(ticket.result for ticket in tickets))
        finally:
            if line.promise is not None:
                self.admission.learn(line.promise, is_done=all(ticket.finished_at for ticket in tickets))
            for ticket in tickets:
                ticket.result.cancel()
            _note_times(job.exchange, line)

    async def _decode(self, job: Job, stage: Stage, read: Callable[[], Read]) -> Read:
        self.admission.keep(job.hold, stage.held_bytes)
        with job.exchange.during("decode"):
            decoded = await self.decoding.run(
                read, kind=stage.decoding, size=stage.pixels, urgent=job.is_urgent
            )
        if stage.part is not Part.SECOND:
            self.metrics.image_pixels.observe(stage.pixels)
        self.admission.keep(job.hold, -stage.freed_bytes)
        return decoded

    def _submit(
        self,
        job: Job,
        stage: Stage,
        items: Sequence[Tensor],
        place: Place | None,
        promise: Promise | None,
    ) -> InLine:
        job.exchange.stage = _names(stage)[0]
        if not items:
            return InLine(stage, [], job.exchange.clock(), promise)
        if job.exchange.span is not None:
            job.exchange.span.line_up(items)
        key = Key(stage.served, tuple(items[0].shape), stage.flip_test)
        tickets = self.batcher.submit(
            key, items, expires_at=job.deadline.expires_at, urgent=job.is_urgent, place=place
        )
        return InLine(stage, tickets, job.exchange.clock(), promise)


def _names(stage: Stage) -> tuple[str, str]:
    """What its wait and its computation are called among the stages of the metrics."""
    return ("find_wait", "find_model") if stage.part is Part.FIRST else ("wait", "model")


def _note_times(exchange: Exchange, line: InLine) -> None:
    """Wait until the first item began, and from there to the last that ended."""
    if not line.tickets:
        return
    (wait, model), now = _names(line.stage), exchange.clock()
    started = [ticket.started_at for ticket in line.tickets if ticket.started_at is not None]
    begun = min(started, default=now)
    exchange.note(wait, line.since, begun)
    if started:
        exchange.stage = model
        exchange.note(model, begun, max(ticket.finished_at or now for ticket in line.tickets))
