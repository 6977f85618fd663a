"""LitServe, with its own batches. It takes files from forms; its worker reads them, runs and writes."""

import litserve
from fastapi import Request, Response
from torch import Tensor

from benchmarks.peers.work import Item, Work
from benchmarks.setup import Setup


class Api(litserve.LitAPI):
    """Made in the server's process, set up in its worker's."""

    def setup(self, device: str) -> None:
        self.work = Work(Setup.from_environment())

    def decode_request(self, request: Request) -> Item:
        return self.work.read(request["image"].file.read())

    def batch(self, inputs: list[Item]) -> list[Item]:
        return inputs

    def predict(self, x: list[Item]) -> list[tuple[Item, Tensor]]:
        return list(zip(x, self.work.run(x), strict=True))

    def unbatch(self, output: list[tuple[Item, Tensor]]) -> list[tuple[Item, Tensor]]:
        return output

    def encode_response(self, output: tuple[Item, Tensor]) -> Response:
        return Response(self.work.write(*output), media_type=self.work.media_type)


if __name__ == "__main__":
    setup = Setup.from_environment()
    # A batch waits for up to 10 ms for more; without a wait LitServe makes no batches.
    api = Api(max_batch_size=setup.max_batch, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="auto", devices=1, workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=setup.port, log_level="warning", generate_client_file=False)
