"""FastAPI with one blocking handler: what most tutorials end with. No batches, one picture at a time."""

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.peers.work import Work
from benchmarks.setup import Setup


def create_app(work: Work) -> FastAPI:
    """The whole server."""
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        [answer] = work.answers([await request.body()])
        return Response(answer, media_type=work.media_type)

    return app


if __name__ == "__main__":
    setup = Setup.from_environment()
    uvicorn.run(
        create_app(Work(setup)), host="127.0.0.1", port=setup.port, log_level="warning", access_log=False
    )
