"""`POST /segment`."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.answers import SegmentAnswer
from service.body import Upload
from service.documents.operations import operation
from service.formats.table import SEGMENT_FORMATS, choose_format
from service.inference import Inference
from service.intake import Intake
from service.models import Models
from service.options import SEGMENT, query_of, read_segment_options
from service.stage import Job


def segment_routes(intake: Intake, inference: Inference, models: Models) -> APIRouter:
    """The route, with its parts."""
    router = APIRouter()

    @router.post("/segment", **operation(SEGMENT, SEGMENT_FORMATS, SegmentAnswer))
    async def segment(request: Request) -> Response:
        """Class of every pixel of the picture."""

        async def work(upload: Upload, job: Job) -> Response:
            options = read_segment_options(query_of(request), upload.fields)
            form = choose_format(SEGMENT_FORMATS, options.format, job.exchange.headers.get("accept", ""))
            served = models.choose(options.model, "segmentation")
            job.exchange.model = served.name
            body = await inference.segment(job, served, options, form)
            return Response(body, headers=served.headers, media_type=form.media_type)

        return await intake.answer(request, work)

    return router
