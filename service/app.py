"""The application: builds the parts and wires them; the only place that knows them all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import torch
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from torch import Tensor

from hrformer import __version__
from hrformer.images.decode import Limits
from service.access import ApiKeys
from service.admission import Admission, Bounds
from service.batcher import Batcher
from service.decoding import Pool
from service.device import Device, Key, Kind
from service.edge import Edge
from service.inference import Inference
from service.intake import Intake
from service.lifecycle import DeviceFailed, Lifecycle
from service.metrics import Metrics
from service.model_thread import ModelThread
from service.models import Model, Models, Served, load_models
from service.problems import problem_response
from service.routes.documents import document_routes
from service.routes.metrics import metrics_routes
from service.routes.models import models_routes
from service.routes.pose import pose_routes
from service.routes.probes import probe_routes
from service.routes.segment import segment_routes
from service.settings import Settings
from service.watchdog import watch

logger = logging.getLogger(__name__)

DESCRIPTION = (
    "Keypoints and masks from photographs. Send a picture as the body, in a form or as base64 in JSON; "
    "options go in the query string or beside the picture. Errors are `application/problem+json`."
)


@dataclass(frozen=True)
class Parts:
    """What the service is made of."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    models: Models
    thread: ModelThread
    decoding: Pool
    encoding: Pool
    admission: Admission
    batcher: Batcher[Key, Tensor, Tensor]

    def refresh_gauges(self) -> None:
        """Sets the gauges that are read only when somebody looks."""
        self.metrics.ready.set(self.lifecycle.is_ready)
        self.metrics.draining.set(self.lifecycle.is_draining)
        self.metrics.queue_bytes.set(self.admission.bytes)
        if torch.cuda.is_available():
            self.metrics.device_memory.labels("allocated").set(torch.cuda.memory_allocated())
            self.metrics.device_memory.labels("reserved").set(torch.cuda.memory_reserved())


def create_app(settings: Settings | None = None, models: Mapping[str, Model] | None = None) -> FastAPI:
    """The service as an ASGI application.

    models: engines by name, in place of those that the settings name; they are warmed at the start.
    raises: SettingsError.
    """
    settings = settings or Settings()
    keys = ApiKeys.from_file(settings.api_keys_file) if settings.api_keys_file else None
    parts = _parts(settings)
    limits = Limits(settings.max_body_bytes, settings.max_image_pixels, formats=settings.formats)
    inference = Inference(
        parts.batcher, parts.decoding, parts.encoding, parts.admission, parts.metrics, limits
    )
    intake = Intake(settings, parts.lifecycle, parts.admission, parts.decoding)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _running(parts, models):
            yield

    app = FastAPI(
        title="HRFormer",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.include_router(pose_routes(intake, inference, parts.models))
    app.include_router(segment_routes(intake, inference, parts.models))
    app.include_router(models_routes(parts.models))
    app.include_router(probe_routes(parts.lifecycle))
    app.include_router(metrics_routes(parts.metrics, parts.refresh_gauges))
    app.include_router(document_routes())
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_middleware(Edge, metrics=parts.metrics, lifecycle=parts.lifecycle, keys=keys)
    return app


def _parts(settings: Settings) -> Parts:
    lifecycle, metrics, models, thread = Lifecycle(), Metrics(), Models(), ModelThread()
    bounds = Bounds(settings.max_requests, settings.max_waiting_items, settings.max_waiting_bytes)

    def max_batch(kind: object) -> int:
        assert isinstance(kind, Kind)
        is_pose = models[kind.model].entry.task == "pose"
        return settings.max_pose_batch if is_pose else settings.max_segment_batch

    def on_fatal(failure: DeviceFailed) -> None:
        lifecycle.fail("the device failed")
        batcher.abandon(failure)

    admission = Admission(bounds, max_batch, thread.busy_for_s)
    device = Device(thread, models, admission=admission, metrics=metrics, on_fatal=on_fatal)
    batcher = Batcher[Key, Tensor, Tensor](
        device.run,
        max_batch=lambda key: max_batch(key.kind),
        max_waiting=settings.max_waiting_items,
        max_wait_s=settings.max_wait_ms / 1000,
        is_fatal=lambda error: isinstance(error, DeviceFailed),
    )
    decoding = Pool("decode", settings.decode_threads)
    encoding = Pool("encode", settings.encode_threads)
    return Parts(settings, lifecycle, metrics, models, thread, decoding, encoding, admission, batcher)


@asynccontextmanager
async def _running(parts: Parts, models: Mapping[str, Model] | None) -> AsyncIterator[None]:
    """From start to stop: loads in the background, watches the model thread, and ends the threads."""
    tasks = [asyncio.create_task(_start(parts, models)), asyncio.create_task(_watch(parts))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        parts.decoding.close()
        parts.encoding.close()
        parts.thread.close()


async def _start(parts: Parts, models: Mapping[str, Model] | None) -> None:
    try:
        served, defaults = await parts.thread.run(_load, parts.settings, models)
        parts.models.fill(served, defaults)
        for one in served:
            _introduce(parts, one)
    except Exception as error:
        # What is wrong with weights is said in a sentence; anything else is a defect, and needs its trace.
        logger.error("the models cannot be loaded: %s", error, exc_info=not isinstance(error, ValueError))
        parts.lifecycle.fail_to_start("the models cannot be loaded; the log says why")
        return
    parts.lifecycle.become_ready()
    logger.info("ready", extra={"models": [one.name for one in served]})


def _load(settings: Settings, models: Mapping[str, Model] | None) -> tuple[list[Served], list[str]]:
    """Loads and warms, on the model thread, whose number of CPU threads this sets."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    if models is None:
        served, defaults = load_models(settings)
    else:
        served, defaults = [Served(model, model.entry.precision) for model in models.values()], []
    for one in served:
        one.model.warm()
    return served, defaults


def _introduce(parts: Parts, served: Served) -> None:
    """Makes the series of a model."""
    name = served.name
    parts.metrics.model_info.labels(name, served.version, served.entry.variant, served.precision).set(1)
    parts.metrics.watch_model(
        name,
        queue_items=lambda: parts.batcher.waiting(lambda key: key.kind.model == name),
        oldest_age_s=lambda: parts.batcher.oldest_age_s(lambda key: key.kind.model == name),
        expected_wait_s=lambda: parts.admission.wait_s(Kind(name), 1),
    )


async def _watch(parts: Parts) -> None:
    """Latches not-live when a model call hangs; loading and warming may take their time."""
    await parts.lifecycle.started.wait()

    def on_hang() -> None:
        reason = f"a model call has been running for more than {parts.settings.hang_after_s:g} s"
        parts.lifecycle.fail(reason)
        parts.metrics.device_errors.labels("hang").inc()
        parts.batcher.abandon(DeviceFailed(f"{reason}; send the request to another instance"))

    await watch(parts.thread.busy_for_s, parts.settings.hang_after_s, on_hang)


async def _http_problem(request: Request, error: Exception) -> Response:
    """FastAPI's own 404 and 405, as problems."""
    return problem_response(error, request.state.exchange.request_id)
