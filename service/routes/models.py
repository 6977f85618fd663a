"""`GET /models` and `GET /models/{name}`."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.documents.operations import path_parameter, problems
from service.models import Models


def models_routes(models: Models) -> APIRouter:
    """The routes, with their parts."""
    router = APIRouter(tags=["models"], responses=problems(401, 403))

    @router.get("/models")
    async def list_models() -> Response:
        """What is served."""
        return _json({"models": [models.describe(served) for served in models]})

    @router.get(
        "/models/{name}",
        responses=problems(404),
        openapi_extra={"parameters": [path_parameter("name")]},
    )
    async def describe_model(request: Request) -> Response:
        """One model: task, input size, classes or joints, precision, SHA-256, measured quality."""
        return _json(models.describe(models[request.path_params["name"]]))

    return router


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
