"""How much of the engine's speed arrives at a client, and what other servers make of the same network.

`python -m benchmarks.service`, or `make bench`. All servers get the same pictures, client, threads and batch
size; they take turns, so that each meets the same machine.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, machine
from benchmarks.servers import OURS, PEERS, Server, version_of
from benchmarks.setup import PICTURE, Setup
from benchmarks.summary import charts, summary, table
from benchmarks.turns import Turns, say, take_turns
from hrformer import __version__
from hrformer.checkpoints.manifest import find
from hrformer.engine.device import choose_device
from service.load.pictures import made_pictures, photographs

PICTURES = 8
MAX_BATCH = {"pose": 16, "segmentation": 4}
OK, NO_FIGURES = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 if ours did not run."""
    arguments = parser().parse_args(argv)
    task = find(arguments.model).task
    setup = setup_for(arguments, task)
    pictures = pictures_for(arguments)
    servers = chosen(arguments.only)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (arguments.output / "servers.log").open("wb") as log:
        turns = Turns(setup, task, pictures, arguments.seconds, log)
        rounds = take_turns(
            turns, servers, rounds=arguments.rounds, clients=arguments.clients, shares=arguments.shares
        )
    if not any(OURS.name in one["servers"] for one in rounds):
        return NO_FIGURES
    store(arguments.output, arguments, setup, task, servers, rounds)
    return OK


def parser() -> argparse.ArgumentParser:
    """The flags."""
    names = [server.name for server in (OURS, *PEERS)]
    p = argparse.ArgumentParser("python -m benchmarks.service", description=__doc__)
    p.add_argument("--model", default="hrformer-tiny-pose", help="(default: %(default)s)")
    p.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", default=(), help=f"some of {', '.join(names)}"
    )
    p.add_argument("--rounds", type=int, default=3, help="turns of each server (default: 3)")
    p.add_argument("--seconds", type=float, default=8.0, help="of each load (default: 8)")
    p.add_argument(
        "--clients", type=int, nargs="+", default=[1, 32, 64], help="closed loops (default: 1 32 64)"
    )
    p.add_argument(
        "--shares",
        type=float,
        nargs="*",
        default=[0.3, 0.5, 0.7, 0.85],
        help="of the engine's speed, open loops",
    )
    p.add_argument("--threads", type=int, default=0, help="of the model (default: one for each core)")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    p.add_argument("--photos", type=Path, help="folder of photographs, cut to 640x480 (default: made here)")
    p.add_argument("--output", type=Path, default=Path("runs/bench"), help="folder (default: runs/bench)")
    return p


def setup_for(arguments: argparse.Namespace, task: str) -> Setup:
    """The same for all servers; as many cores read pictures as in the service."""
    device = str(choose_device(arguments.device))
    decoders = max(1, cores() // 4 if device == "cpu" else cores() * 3 // 4)
    return Setup(arguments.model, device, arguments.threads or cores(), decoders, MAX_BATCH[task])


def pictures_for(arguments: argparse.Namespace) -> list[bytes]:
    """JPEG files of 640×480."""
    chance = random.Random(0)
    if arguments.photos:
        return photographs(arguments.photos, [PICTURE], chance)[:PICTURES]
    return made_pictures([PICTURE] * PICTURES, chance)


def chosen(only: Sequence[str]) -> list[Server]:
    """The servers that are wanted and installed; says which are not."""
    servers = []
    for server in (OURS, *PEERS):
        if only and server.name not in only:
            continue
        if version_of(server) is None:
            say(f"{server.name} is left out: {server.package} is not installed; see benchmarks/install")
        else:
            servers.append(server)
    return servers


def store(
    folder: Path,
    arguments: argparse.Namespace,
    setup: Setup,
    task: str,
    servers: Sequence[Server],
    rounds: Sequence[dict[str, Any]],
) -> None:
    """service-TASK.json, and two pictures; prints the summary."""
    found = summary(rounds, setup.max_batch)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(setup),
        "setup": {name: value for name, value in vars(setup).items() if name != "port"},
        "seconds": arguments.seconds,
        "picture": f"JPEG, {PICTURE[0]}×{PICTURE[1]}",
        "versions": {server.name: version_of(server) or __version__ for server in servers},
    }
    text = json.dumps({"about": about, "summary": found, "rounds": rounds}, indent=1, ensure_ascii=False)
    (folder / f"service-{task}.json").write_text(text + "\n", encoding="utf-8")
    for name, picture in charts(found, f"{setup.model}, {about['machine']}").items():
        (folder / f"service-{task}-{name}.svg").write_text(picture, encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    sys.exit(main())
