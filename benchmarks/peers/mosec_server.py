"""mosec: processes that read pictures, and one that runs batches of them and writes the answers."""

import torch
from mosec import Server, Worker

from benchmarks.peers.work import Item, Work
from benchmarks.setup import Setup


class Read(Worker):
    """File → item."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work(Setup.from_environment())
        torch.set_num_threads(1)

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> Item:
        return self.work.read(data)


class Run(Worker):
    """Items → answers."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work(Setup.from_environment())
        self.resp_mime_type = self.work.media_type

    def forward(self, data: list[Item]) -> list[bytes]:
        results = self.work.run(data)
        return [self.work.write(item, result) for item, result in zip(data, results, strict=True)]

    def serialize(self, data: bytes) -> bytes:
        return data


if __name__ == "__main__":
    # The port comes as a flag, --port, which mosec reads itself.
    setup = Setup.from_environment()
    server = Server()
    server.append_worker(Read, num=setup.decoders, timeout=60, route="/predict")
    server.append_worker(
        Run, num=1, max_batch_size=setup.max_batch, max_wait_time=10, timeout=60, route="/predict"
    )
    server.run()
