"""The application: builds the parts and wires them; the only place that knows them all."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute

from hrformer import __version__
from hrformer.images.decode import Limits
from service.access import ApiKeys
from service.body import ENVELOPE_BYTES
from service.card import watch_card
from service.edge import Edge, Endpoint
from service.inference import Inference
from service.intake import Intake
from service.lifecycle import DeviceFailed
from service.loading import Load, loader_of, reloader_of, start
from service.models import Model
from service.oip.routes import oip_routes
from service.oip.tensors import parse_request
from service.parts import Parts, make_parts
from service.rates import Rates
from service.routes.admin import admin_routes
from service.routes.documents import document_routes
from service.routes.metrics import MetricsPage, metrics_routes
from service.routes.models import models_routes
from service.routes.people import people_routes
from service.routes.pose import pose_routes
from service.routes.probes import probe_routes
from service.routes.segment import segment_routes
from service.settings import Settings
from service.sizing import memory_limit_bytes
from service.stage import Stages
from service.watchdog import watch

LAST_ANSWERS_S = 5.0  # after a failure, for whoever is still being told of it

DESCRIPTION = (
    "People, their keypoints, and masks from photographs. Send a picture as the body, in a form or as base64 "
    "in JSON; options go in the query string or beside the picture. Errors are `application/problem+json`."
)


def create_app(
    settings: Settings | None = None,
    models: Mapping[str, Model] | None = None,
    *,
    metrics_page: MetricsPage | None = None,
) -> FastAPI:
    """The service as an ASGI application.

    models: engines by name, in place of those that the settings name; they are warmed at the start, and
        read again when the models are reloaded.
    metrics_page: what `/metrics` shows, in place of this service's own page.
    raises: SettingsError.
    """
    settings = settings or Settings()
    keys = _keys_of(settings)
    parts = make_parts(settings)
    parts.metrics.memory_limit.set_function(memory_limit_bytes)
    watch_card(parts.metrics, settings.device)
    load = loader_of(parts, models)
    limits = Limits(settings.max_body_bytes, settings.max_image_pixels, formats=settings.formats)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _running(parts, load):
            yield

    app = FastAPI(
        title="HRFormer",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the service has its own
    )
    app.state.parts = parts
    app.state.metrics_page = metrics_page or _own_page(parts)
    app.state.keys = keys
    app.state.reloader = reloader_of(parts, load, limits)
    # The edge makes problems of all that is raised, so that Starlette's own layers for that are left out.
    app.middleware_stack = Edge(
        AsyncExitStackMiddleware(app.router),
        _add_routes(app, parts, limits),
        metrics=parts.metrics,
        lifecycle=parts.lifecycle,
        keys=keys,
        tracing=parts.tracing,
    )
    return app


def _add_routes(app: FastAPI, parts: Parts, limits: Limits) -> dict[str, Endpoint]:
    """The endpoints that take pictures, by path."""
    stages = Stages(parts.batcher, parts.decoding, parts.admission, parts.metrics)
    inference = Inference(stages, parts.encoding, limits)
    intake = Intake(parts.settings, parts.lifecycle, parts.admission, parts.decoding)
    pictures = [
        routes(intake, inference, parts.models) for routes in (pose_routes, segment_routes, people_routes)
    ]
    for router in pictures:
        app.include_router(router)
    app.include_router(models_routes(parts.models))
    app.include_router(probe_routes(parts.lifecycle))
    app.include_router(metrics_routes(app.state.metrics_page))
    app.include_router(document_routes())
    oip_intake = replace(
        intake, parse=parse_request, reads=lambda content_type: True, envelope_bytes=ENVELOPE_BYTES
    )
    app.include_router(oip_routes(oip_intake, inference, parts.models, parts.lifecycle))
    if parts.settings.admin_routes:
        app.include_router(admin_routes(app.state.reloader, parts.lifecycle))
    routes = [route for router in pictures for route in router.routes]
    return {route.path: route.endpoint for route in routes if isinstance(route, APIRoute)}


def _own_page(parts: Parts) -> MetricsPage:
    async def page(accept: str) -> tuple[bytes, str]:
        parts.refresh_gauges()
        return parts.metrics.page(accept)

    return page


def _keys_of(settings: Settings) -> ApiKeys | None:
    if settings.api_keys_file is None:
        return None
    rates = Rates(settings.key_rate, settings.key_burst) if settings.key_rate else None
    return ApiKeys(settings.api_keys_file, rates)


@asynccontextmanager
async def _running(parts: Parts, load: Load) -> AsyncIterator[None]:
    """From start to stop: loads in the background, watches for calls that hang, and ends the threads."""
    work = (start(parts, load), _watch(parts), parts.lifecycle.end_when_failed(LAST_ANSWERS_S))
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if parts.tracing is not None:
            await parts.tracing.close()
        for threads in parts.threads:
            threads.close()


async def _watch(parts: Parts) -> None:
    """Latches not-live when a call hangs; loading and warming may take their time."""
    await parts.lifecycle.started.wait()

    def on_hang() -> None:
        _, name = parts.longest_call()
        limit_s = parts.settings.hang_after_s
        reason = f"a call of the {name} thread has been running for more than {limit_s:g} s"
        parts.lifecycle.fail(reason)
        parts.metrics.device_errors("hang").inc()
        parts.batcher.abandon(DeviceFailed(f"{reason}; send the request to another instance"))

    await watch(lambda: parts.longest_call()[0], parts.settings.hang_after_s, on_hang)
