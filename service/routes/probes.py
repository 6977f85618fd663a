"""`GET /livez`, `/readyz`, `/version`: for orchestrators."""

import platform
from typing import Any

import orjson
import torch
from fastapi import APIRouter
from starlette.responses import Response

from hrformer import __version__
from service.lifecycle import Lifecycle
from service.problems import RETRY_AFTER_S


def probe_routes(lifecycle: Lifecycle) -> APIRouter:
    """The routes, with their parts."""
    router = APIRouter(tags=["probes"])

    @router.get("/livez", responses={503: {"description": "The device failed, or a model call hangs"}})
    async def livez() -> Response:
        """200 while the process can make progress."""
        reason = "" if lifecycle.is_alive else lifecycle.reason
        return _state("live" if lifecycle.is_alive else "failed", reason, is_good=lifecycle.is_alive)

    @router.get("/readyz", responses={503: {"description": "Starting, draining or failed"}})
    async def readyz() -> Response:
        """200 when every model is loaded and warm and the service is not draining."""
        return _state(lifecycle.state, lifecycle.reason, is_good=lifecycle.is_ready)

    @router.get("/version")
    async def version() -> Response:
        """Version and build."""
        build = {"version": __version__, "torch": torch.__version__, "python": platform.python_version()}
        return _json(build, 200)

    return router


def _state(state: str, reason: str, *, is_good: bool) -> Response:
    answer = _json({"status": state, "reason": reason}, 200 if is_good else 503)
    if not is_good:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _json(value: dict[str, Any], status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(value), status, headers, "application/json")
