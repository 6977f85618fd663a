"""Ray Serve, with its own batches, on this machine alone."""

import asyncio
import signal
import threading
from collections.abc import Sequence

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from starlette.requests import Request
from starlette.responses import Response
from torch import Tensor

from benchmarks.peers.work import Item, Work
from benchmarks.setup import Setup

setup = Setup.from_environment()


class Predict:
    """One replica; reading and running have threads of their own, so that neither holds up its event loop."""

    def __init__(self) -> None:
        self.work = Work(setup)

    async def __call__(self, request: Request) -> Response:
        item = await asyncio.to_thread(self.work.read, await request.body())
        result = await self.run(item)
        return Response(self.work.write(item, result), media_type=self.work.media_type)

    @serve.batch(max_batch_size=setup.max_batch, batch_wait_timeout_s=0.01)
    async def run(self, items: Sequence[Item]) -> list[Tensor]:
        return await asyncio.to_thread(self.work.run, items)


if __name__ == "__main__":
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    ray.init(_node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=setup.port))
    # Ray lets a replica have five requests at once unless told otherwise, fewer than a batch.
    deployment = serve.deployment(num_replicas=1, max_ongoing_requests=1000)(Predict)
    serve.run(deployment.bind(), route_prefix="/predict")
    stopped.wait()
    serve.shutdown()
    ray.shutdown()
