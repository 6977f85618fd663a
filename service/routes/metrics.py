"""`GET /metrics`."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

MetricsPage: TypeAlias = Callable[[str], Awaitable[tuple[bytes, str]]]

_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {"application/openmetrics-text": {}}}}


def metrics_routes(page: MetricsPage) -> APIRouter:
    """The route. page: text and content type for an `Accept`."""
    router = APIRouter(tags=["probes"])

    @router.get("/metrics", response_class=PlainTextResponse, responses=_FORMS)
    async def show_metrics(request: Request) -> Response:
        """Prometheus text format, or OpenMetrics where `Accept` asks for it."""
        body, content_type = await page(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    return router
