"""`GET /metrics`."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service.metrics import Metrics

_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {"application/openmetrics-text": {}}}}


def metrics_routes(metrics: Metrics, refresh: Callable[[], None]) -> APIRouter:
    """The route, with its parts. refresh: sets the gauges that are read only when the page is asked for."""
    router = APIRouter(tags=["probes"])

    @router.get("/metrics", response_class=PlainTextResponse, responses=_FORMS)
    async def show_metrics(request: Request) -> Response:
        """Prometheus text format, or OpenMetrics where `Accept` asks for it."""
        refresh()
        body, content_type = metrics.page(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    return router
