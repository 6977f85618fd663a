"""One turn of one server, or of the engine: loads, and what they met."""

import asyncio
import base64
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import IO, Any

from benchmarks.servers import REPOSITORY, NotReady, Server, started
from benchmarks.setup import Setup
from service.client.connection import Address, encode_request
from service.client.pool import Pool
from service.load.figures import Figures
from service.load.mix import Mix, requests
from service.load.run import Load, Run

FIRST_ANSWER_S = 120.0
WARM_UP_S = 2.0
SETTLE_S = 8.0  # of warm-up for the first load: a server may go on preparing after its first answers
AFTER_S = 0.2
SAME_PX = 0.1


def engine_turn(setup: Setup, seconds: float) -> dict[int, float]:
    """Images a second by batch size, in a process of its own."""
    environment = {**os.environ, **setup.as_environment(), "OMP_NUM_THREADS": str(setup.threads)}
    command = [sys.executable, "-m", "benchmarks.resident", "--seconds", str(seconds)]
    answer = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return {int(size): float(rate) for size, rate in json.loads(answer.stdout).items()}


def server_turn(
    server: Server, setup: Setup, task: str, pictures: Sequence[bytes], loads: Sequence[Load], log: IO[bytes]
) -> tuple[Any, list[Figures]]:
    """The result for the first picture, and the figures of each load, of a server started for them.

    raises: NotReady.
    """
    with started(server, setup, log) as address:
        return asyncio.run(_measure(server, address, task, pictures, loads))


async def _measure(
    server: Server, address: Address, task: str, pictures: Sequence[bytes], loads: Sequence[Load]
) -> tuple[Any, list[Figures]]:
    bodies = [server.request(task, picture) for picture in pictures]
    path, _, headers = bodies[0]
    answer = await first_answer(server, address, encode_request(address, path, bodies[0][1], headers))
    mix = Mix([body for _, body, _ in bodies], [path], headers, invalid=0.0, leave=0.0)
    figures = []
    for load in loads:
        pool = Pool(address)
        run = Run(load, requests(mix, address, random.Random(load.seed)), pool)
        await run.go()
        pool.close()
        figures.append(run.figures())
    return result_of(task, answer), figures


async def first_answer(server: Server, address: Address, request: bytes) -> bytes:
    """A server may listen before its model is there; it is ready when it answers with a result.

    raises: NotReady.
    """
    pool, last = Pool(address), "no answer"
    try:
        async with asyncio.timeout(FIRST_ANSWER_S):
            while True:
                try:
                    answer = await pool.ask(request)
                    if answer.status == 200:
                        return answer.body
                    last = f"{answer.status} {answer.body[:200]!r}"
                except OSError as error:
                    last = str(error)
                await asyncio.sleep(AFTER_S)
    except TimeoutError:
        raise NotReady(f"{server.name} listens, but gives no result: {last}") from None
    finally:
        pool.close()


def result_of(task: str, body: bytes) -> Any:
    """What servers must agree on: x and y of each keypoint, or the bytes of the mask."""
    if body.startswith(b"["):  # BentoML's list of one text
        [text] = json.loads(body)
        body = text.encode() if task == "pose" else base64.b64decode(text)
    if task != "pose":
        return body
    [person] = json.loads(body)["people"]
    return [(point["x"], point["y"]) for point in person["keypoints"]]


def agree(task: str, one: Any, other: Any) -> bool:
    """Whether two results are the same, keypoints to a tenth of a pixel."""
    if task != "pose":
        return bool(one == other)
    pairs = zip(chain(*one), chain(*other), strict=True)
    return all(abs(a - b) <= SAME_PX for a, b in pairs)


def closed_loads(clients: Sequence[int], seconds: float) -> list[Load]:
    """For throughput: so many clients that each ask again as soon as they are answered.

    These come first of all loads, and in the first of them a server settles.
    """
    first, *others = (Load(clients=count, seconds=seconds, warm_up_s=WARM_UP_S) for count in clients)
    return [replace(first, warm_up_s=SETTLE_S), *others]


def open_loads(rates: Sequence[float], seconds: float) -> list[Load]:
    """For latency: Poisson arrivals at these rates, whatever comes back."""
    return [Load(rate=rate, seconds=seconds, warm_up_s=WARM_UP_S) for rate in rates]


def as_dict(load: Load, figures: Figures) -> dict[str, Any]:
    """A result as it is stored."""
    return {"rate": load.rate, "clients": load.clients} | figures.as_json()
