"""`POST /admin/reload`, where the setting says so."""

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from service.documents.operations import problems
from service.lifecycle import Lifecycle
from service.problems import Problem
from service.reload import Reloader, ReloadFailed


def admin_routes(reloader: Reloader, lifecycle: Lifecycle) -> APIRouter:
    """The route, with its parts."""
    router = APIRouter(tags=["admin"], responses=problems(401, 403, 409, 503))

    @router.post("/admin/reload")
    async def reload() -> Response:
        """Loads the models anew and swaps them when they answer a canary picture as they should."""
        lifecycle.check_accepting()
        try:
            served = await reloader.run()
        except ReloadFailed as error:
            raise Problem("not-reloaded", str(error)) from error
        models = [{"name": one.name, "version": one.version} for one in served]
        return Response(orjson.dumps({"models": models}), media_type="application/json")

    return router
