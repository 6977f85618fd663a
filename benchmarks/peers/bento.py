"""BentoML, with its adaptive batches: `bentoml serve benchmarks.peers.bento:Predict`.

A route with batches takes lists of files and answers with a list in JSON, so that a mask is base64 there. Its
documents put a second service before it for single pictures; without that it is quicker, as here.
"""

import base64
from pathlib import Path

import bentoml

from benchmarks.peers.work import Work
from benchmarks.setup import Setup

setup = Setup.from_environment()


@bentoml.service(
    workers=1,
    traffic={"timeout": 60, "max_concurrency": 100_000},
    logging={"access": {"enabled": False}},
)
class Predict:
    """One worker, which reads, runs and writes whole batches."""

    def __init__(self) -> None:
        self.work = Work(setup)

    @bentoml.api(batchable=True, max_batch_size=setup.max_batch)
    def predict(self, image: list[Path]) -> list[str]:
        answers = self.work.answers([file.read_bytes() for file in image])
        if self.work.media_type == "application/json":
            return [answer.decode() for answer in answers]
        return [base64.b64encode(answer).decode() for answer in answers]
