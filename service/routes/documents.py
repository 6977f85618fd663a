"""`GET /`, `/docs`, `/problems/` and `/problems/{slug}`: pages to read."""

from html import escape

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.documents.browsable import browsable
from service.documents.html import page, table, text
from service.documents.operations import path_parameter
from service.problem_kinds import KINDS
from service.problems import Problem


def document_routes() -> APIRouter:
    """The routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def root() -> Response:
        """To the page that explains the service."""
        return RedirectResponse("/docs")

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        """The API document as a page."""
        return page("HRFormer", browsable(request.app.openapi()))

    @router.get("/problems/")
    async def problems() -> Response:
        """All problems."""
        rows = [
            [str(kind.status), f'<a href="/problems/{slug}">{slug}</a>', text(kind.title)]
            for slug, kind in KINDS.items()
        ]
        return page("Problems", "<h1>Problems</h1>" + table(["status", "name", "meaning"], rows))

    @router.get("/problems/{slug}", openapi_extra={"parameters": [path_parameter("slug")]})
    async def problem(request: Request) -> Response:
        """One problem: when it is met and what to do about it."""
        slug = request.path_params["slug"]
        if slug not in KINDS:
            raise Problem(
                "not-found", f"there is no problem called {slug[:64]!r}; all are listed at /problems/"
            )
        kind = KINDS[slug]
        body = f"<h1>{escape(kind.title)}</h1><p>Status {kind.status}, <code>{slug}</code></p>"
        return page(kind.title, f"{body}<p>{text(kind.when)}</p><p>{text(kind.remedy)}</p>")

    return router
