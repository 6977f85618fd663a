"""`POST /people`."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.answers import PeopleAnswer
from service.body import Upload
from service.documents.operations import operation
from service.formats.table import PEOPLE_FORMATS, choose_format
from service.inference import Inference
from service.intake import Intake
from service.models import Models
from service.options import PEOPLE, query_of, read_people_options
from service.stage import Job


def people_routes(intake: Intake, inference: Inference, models: Models) -> APIRouter:
    """The route, with its parts."""
    router = APIRouter()

    @router.post("/people", **operation(PEOPLE, PEOPLE_FORMATS, PeopleAnswer))
    async def people(request: Request) -> Response:
        """Boxes of the people in the picture, best first."""

        async def work(upload: Upload, job: Job) -> Response:
            options = read_people_options(query_of(request), upload.fields)
            form = choose_format(PEOPLE_FORMATS, options.format, job.exchange.headers.get("accept", ""))
            served = models.choose(options.model, "people")
            job.exchange.model = served.name
            body = await inference.people(job, served, options, form)
            return Response(body, headers=served.headers, media_type=form.media_type)

        return await intake.answer(request, work)

    return router
