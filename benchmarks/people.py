"""What it costs that people are found: /pose without boxes beside /pose with the same boxes, and four people
a photograph beside one.

`python -m benchmarks.people`, on a machine that does nothing else. How many people are found is asked for
(`max_people`, down to a score of nought), so that the figures are of so many whatever the weights say.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from benchmarks.machine import cores, machine
from benchmarks.measure import first_answer
from benchmarks.servers import OURS, NotReady, started
from benchmarks.setup import PICTURE, Setup
from benchmarks.turns import say
from hrformer.checkpoints.manifest import MANIFEST, default_names, weights_directory
from hrformer.engine.device import choose_device
from service.client.connection import Address, encode_request
from service.client.pool import Pool
from service.load.mix import Mix, requests
from service.load.pictures import made_pictures, resized
from service.load.run import Load, Run

ONE, SEVERAL = 1, 4  # people of a photograph
WAYS = ("found", "given")  # where the boxes come from
WARM_UP_S = 1.0
OK, NO_FIGURES = 0, 1


@dataclass(frozen=True)
class Plan:
    """How long is measured, and with how many clients."""

    seconds: float  # of latency, and of each load
    rounds: int  # of the loads
    clients: int  # of each


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 if the service did not answer with so many people."""
    arguments = parser().parse_args(argv)
    setup = setup_for(arguments)
    chance = random.Random(0)
    picture = resized(arguments.photo, PICTURE) if arguments.photo else made_pictures([PICTURE], chance)[0]
    plan = Plan(arguments.seconds, arguments.rounds, arguments.clients)
    server = replace(OURS, command=(*OURS.command, "--weights", str(arguments.weights)))
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        with (
            (arguments.output / "servers.log").open("wb") as log,
            started(server, setup, log) as address,
        ):
            found = asyncio.run(measured(address, picture, plan))
    except NotReady as error:
        say(f"{error}; its log is {arguments.output / 'servers.log'}")
        return NO_FIGURES
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(setup),
        "models": setup.model,
        **vars(plan),
    }
    text = json.dumps({"about": about, **found}, indent=1, ensure_ascii=False)
    (arguments.output / "people.json").write_text(text + "\n", encoding="utf-8")
    print(table(found))
    return OK


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser("python -m benchmarks.people", description=__doc__)
    p.add_argument("--model", default="hrformer-tiny-pose", help="(default: %(default)s)")
    p.add_argument("--finder", help="finds people (default: the manifest's)")
    p.add_argument("--weights", type=Path, metavar="DIR", default=weights_directory(), help="of the manifest")
    p.add_argument("--photo", type=Path, help="photograph, cut to 640x480 (default: made here)")
    p.add_argument("--seconds", type=float, default=20.0, help="of latency, and of each load (default: 20)")
    p.add_argument("--rounds", type=int, default=3, help="turns of each load (default: 3)")
    p.add_argument("--clients", type=int, default=16, help="of each load, closed loops (default: 16)")
    p.add_argument("--threads", type=int, default=0, help="of the models (default: one for each core)")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    p.add_argument("--output", type=Path, default=Path("runs/bench"), help="folder (default: runs/bench)")
    return p


def setup_for(arguments: argparse.Namespace) -> Setup:
    """Both models, and the service's own largest batches. Ends the program where nothing finds people."""
    finder = arguments.finder or default_names(arguments.weights / MANIFEST).get("people")
    if finder is None:
        raise SystemExit("the manifest names no default model for people; name one by --finder")
    device = str(choose_device(arguments.device))
    return Setup(f"{arguments.model},{finder}", device, arguments.threads or cores())


async def measured(address: Address, picture: bytes, plan: Plan) -> dict[str, Any]:
    """All figures. raises: NotReady where an answer is another than expected."""
    pool = Pool(address)
    try:
        paths = {people: await paths_for(pool, picture, people) for people in (ONE, SEVERAL)}
        alone = {way: encode_request(address, path, picture) for way, path in paths[ONE].items()}
        say("one person, one client: found and given boxes in turn")
        times_ms = await latencies(pool, alone, plan.seconds)
        rates: dict[str, dict[int, list[float]]] = {way: {ONE: [], SEVERAL: []} for way in WAYS}
        for number in range(plan.rounds):
            for way, people in turns(number):
                load = Load(clients=plan.clients, seconds=plan.seconds, warm_up_s=WARM_UP_S)
                rates[way][people].append(await photographs_per_s(pool, load, picture, paths[people][way]))
                say(f"{people} {way}: {rates[way][people][-1]:.1f} photographs/s")
    finally:
        pool.close()
    return summary(times_ms, rates)


async def paths_for(pool: Pool, picture: bytes, people: int) -> dict[str, str]:
    """Path and options that find so many people in the picture, and those that give their boxes.

    raises: NotReady where there are others.
    """
    found = f"/pose?box_threshold=0&max_people={people}"
    answer = await first_answer(OURS, pool.address, encode_request(pool.address, found, picture))
    boxes = [one["box"] for one in json.loads(answer)["people"]]
    if len(boxes) != people:
        raise NotReady(f"asked for {people} people, the service finds {len(boxes)}")
    return {"found": found, "given": f"/pose?boxes={quote(json.dumps(boxes))}"}


async def latencies(pool: Pool, asked: Mapping[str, bytes], seconds: float) -> dict[str, list[float]]:
    """Times in ms of requests in turn, one at a time; the first ones are not counted."""
    clock = asyncio.get_running_loop().time
    times_ms: dict[str, list[float]] = {way: [] for way in asked}
    begun_at, number = clock(), 0
    while clock() < begun_at + WARM_UP_S + seconds or not all(times_ms.values()):
        order = list(asked) if number % 2 else list(asked)[::-1]
        for way in order:
            sent_at = clock()
            answer = await pool.ask(asked[way])
            if answer.status != 200:
                raise NotReady(f"the service answers {answer.status}: {answer.problem}")
            if sent_at > begun_at + WARM_UP_S:
                times_ms[way].append(1000 * (answer.ended_at - sent_at))
        number += 1
    return times_ms


def turns(number: int) -> list[tuple[str, int]]:
    """The loads of a round, beginning with another one each time."""
    every = [(way, people) for way in WAYS for people in (ONE, SEVERAL)]
    first = number % len(every)
    return every[first:] + every[:first]


async def photographs_per_s(pool: Pool, load: Load, picture: bytes, path: str) -> float:
    """Answers in time of a closed loop."""
    mix = Mix([picture], [path], invalid=0.0, leave=0.0)
    run = Run(load, requests(mix, pool.address, random.Random(load.seed)), pool)
    await run.go()
    return run.figures().good_per_s


def summary(
    times_ms: Mapping[str, Sequence[float]], rates: Mapping[str, Mapping[int, Sequence[float]]]
) -> dict[str, Any]:
    """Medians; how much longer found boxes take than given ones; people/s at four a photograph over one."""
    at_once = {way: {people: median(values) for people, values in rates[way].items()} for way in WAYS}
    return {
        "latency_ms": {way: round(median(times_ms[way]), 2) for way in WAYS},
        "requests": {way: len(times_ms[way]) for way in WAYS},
        "found_over_given": round(median(times_ms["found"]) / median(times_ms["given"]), 3),
        "photographs_per_s": {
            way: {str(people): round(rate, 2) for people, rate in at_once[way].items()} for way in WAYS
        },
        "several_over_one": {
            way: round(_ratio(SEVERAL * at_once[way][SEVERAL], ONE * at_once[way][ONE]), 3) for way in WAYS
        },
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def table(found: Mapping[str, Any]) -> str:
    """In Markdown."""
    heads = ("boxes", "one person, ms", "photographs/s of 1", f"of {SEVERAL}", f"people/s, {SEVERAL} over 1")
    rows = [
        (
            way,
            f"{found['latency_ms'][way]:.1f}",
            *(f"{found['photographs_per_s'][way][str(people)]:.1f}" for people in (ONE, SEVERAL)),
            f"{found['several_over_one'][way]:.2f}",
        )
        for way in WAYS
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows)]
    return "\n".join([*lines, "", f"found over given: {found['found_over_given']:.2f}"])


if __name__ == "__main__":
    sys.exit(main())
