"""`POST /pose`."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.answers import PoseAnswer
from service.body import Upload
from service.documents.operations import operation
from service.formats.table import POSE_FORMATS, choose_format
from service.inference import Inference
from service.intake import Intake
from service.models import Models
from service.options import POSE, query_of, read_pose_options
from service.stage import Job


def pose_routes(intake: Intake, inference: Inference, models: Models) -> APIRouter:
    """The route, with its parts."""
    router = APIRouter()

    @router.post("/pose", **operation(POSE, POSE_FORMATS, PoseAnswer))
    async def pose(request: Request) -> Response:
        """People in the picture, found first where no boxes are given, and their 17 COCO keypoints."""

        async def work(upload: Upload, job: Job) -> Response:
            options = read_pose_options(query_of(request), upload.fields)
            form = choose_format(POSE_FORMATS, options.format, job.exchange.headers.get("accept", ""))
            served = models.choose(options.model, "pose")
            job.exchange.model = served.name
            body = await inference.pose(job, served, models.default("people"), options, form)
            return Response(body, headers=served.headers, media_type=form.media_type)

        return await intake.answer(request, work)

    return router
