"""`/v2/…`: health, metadata and inference of the Open Inference Protocol v2 over HTTP."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hrformer import __version__
from service.body import Fields, Upload
from service.documents.operations import path_parameter, problems
from service.formats.table import JSON
from service.inference import Inference
from service.intake import Intake
from service.lifecycle import Lifecycle
from service.models import Models, Served
from service.oip import tensors
from service.oip.binary import EXTENSION, HEADER
from service.oip.document import INFERENCE, METADATA
from service.options import query_of, read_people_options, read_pose_options, read_segment_options
from service.problems import RETRY_AFTER_S, Problem
from service.stage import Job

NAME = {"parameters": [path_parameter("name")]}
ELSEWHERE = ("model", "format", "timing")  # options of the other routes, which the protocol has its own for


def oip_routes(intake: Intake, inference: Inference, models: Models, lifecycle: Lifecycle) -> APIRouter:
    """The routes, with their parts."""
    router = APIRouter(tags=["Open Inference Protocol"])
    unready: dict[int | str, dict[str, Any]] = {503: {"description": "Not, or not yet, or not any more"}}

    @router.get("/v2/health/live", responses=unready)
    async def live() -> Response:
        """200 while the process can make progress."""
        return _state({"live": lifecycle.is_alive}, is_good=lifecycle.is_alive)

    @router.get("/v2/health/ready", responses=unready)
    async def ready() -> Response:
        """200 when every model is loaded and warm and the service is not stopping."""
        return _state({"ready": lifecycle.is_ready}, is_good=lifecycle.is_ready)

    @router.get("/v2", responses=problems(401, 403))
    async def server() -> Response:
        """Name, version, and the extensions of the protocol."""
        return _json({"name": "hrformer", "version": __version__, "extensions": [EXTENSION]})

    @router.get("/v2/models/{name}", responses=METADATA | problems(401, 403, 404), openapi_extra=NAME)
    async def describe(request: Request) -> Response:
        """Version, input and outputs of a model."""
        return _json(tensors.metadata(models[request.path_params["name"]]))

    @router.get("/v2/models/{name}/ready", responses=unready | problems(401, 403, 404), openapi_extra=NAME)
    async def model_ready(request: Request) -> Response:
        """200 when the model takes work."""
        served = models[request.path_params["name"]]
        return _state({"name": served.name, "ready": lifecycle.is_ready}, is_good=lifecycle.is_ready)

    @router.post("/v2/models/{name}/infer", **INFERENCE)
    async def infer(request: Request) -> Response:
        """One picture, in base64 or in binary, answered with the keypoints, boxes or mask as tensors."""

        async def work(upload: Upload, job: Job) -> Response:
            assert isinstance(upload, tensors.InferRequest)
            served = models[request.path_params["name"]]
            tensors.check_outputs(upload.names, served.entry.task)
            job.exchange.model = served.name
            fields = [*query_of(request), *upload.fields]
            answer = await _answer(inference, models, job, served, fields, upload.has_binary)
            body, json_bytes = tensors.finished(answer, upload)
            if json_bytes is None:
                return Response(body, headers=served.headers, media_type=JSON)
            headers = {**served.headers, HEADER: str(json_bytes)}
            return Response(body, headers=headers, media_type=tensors.BINARY)

        return await intake.answer(request, work)

    return router


async def _answer(
    inference: Inference, models: Models, job: Job, served: Served, fields: Fields, is_binary: bool
) -> bytes:
    for name, _ in fields:
        if name in ELSEWHERE:
            raise Problem("unknown-option", f"there is no option {name} here", field=name)
    if served.entry.task == "pose":
        options = read_pose_options([], fields)
        return await inference.pose(job, served, models.default("people"), options, tensors.POSE[is_binary])
    if served.entry.task == "people":
        return await inference.people(job, served, read_people_options([], fields), tensors.PEOPLE[is_binary])
    return await inference.segment(job, served, read_segment_options([], fields), tensors.SEGMENT[is_binary])


def _state(value: dict[str, Any], *, is_good: bool) -> Response:
    answer = _json(value, 200 if is_good else 503)
    answer.headers["Cache-Control"] = "no-store"
    if not is_good:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type=JSON)
