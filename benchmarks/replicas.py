"""What a second replica on Ray adds, on this machine: `python -m benchmarks.replicas`, or `make bench-ray`.

The service without Ray, and on Ray with one replica and with more, take turns with the same pictures and
clients, so that each meets the same machine. Each model has one thread.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.machine import machine
from benchmarks.measure import closed_loads
from benchmarks.servers import OURS, Server, version_of
from benchmarks.setup import PICTURE, Setup
from benchmarks.summary import sustained
from benchmarks.turns import Turns, say
from hrformer.checkpoints.manifest import find
from hrformer.engine.device import choose_device
from service.load.pictures import made_pictures

PICTURES = 8
OK, NO_FIGURES = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 if Ray is not there, or a server did not run."""
    arguments = parser().parse_args(argv)
    servers = [replace(OURS, name="without Ray"), *(on_ray(count) for count in arguments.replicas)]
    if version_of(servers[-1]) is None:
        say("Ray is not installed: benchmarks/install does that, and says why where it cannot")
        return NO_FIGURES
    rates = measured(arguments, servers)
    if not all(rates.values()):
        return NO_FIGURES
    print(table({name: median(found) for name, found in rates.items()}))
    return OK


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser("python -m benchmarks.replicas", description=__doc__)
    p.add_argument("--model", default="hrformer-tiny-pose", help="(default: %(default)s)")
    p.add_argument("--replicas", type=int, nargs="+", default=[1, 2], help="on Ray (default: 1 2)")
    p.add_argument("--clients", type=int, default=32, help="that ask again when answered (default: 32)")
    p.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    p.add_argument("--seconds", type=float, default=10.0, help="of each turn (default: 10)")
    return p


def on_ray(replicas: int) -> Server:
    """The service on a cluster made for it."""
    command = ("-m", "service.ray_deployment", "--min-replicas", str(replicas))
    return Server(f"on Ray, {replicas}", command, OURS.path, "ray")


def measured(arguments: argparse.Namespace, servers: Sequence[Server]) -> dict[str, list[float]]:
    """Images a second in each round, by server."""
    setup = Setup(arguments.model, str(choose_device("auto")), threads=1)
    pictures = made_pictures([PICTURE] * PICTURES, random.Random(0))
    loads = closed_loads([arguments.clients], arguments.seconds)
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    expected: list[object] = []
    say(machine(setup))
    with tempfile.NamedTemporaryFile(prefix="bench-ray-", suffix=".log", delete=False) as log:
        turns = Turns(setup, find(arguments.model).task, pictures, arguments.seconds, log)
        for number in range(arguments.rounds):
            first = number % len(servers)
            for server in [*servers[first:], *servers[:first]]:
                if found := turns.server(server, loads, expected):
                    rates[server.name].append(sustained(found))
    return rates


def table(rates: dict[str, float]) -> str:
    """Medians in Markdown, and what they are against the first replica on Ray."""
    one = list(rates.values())[1]
    rows = [f"| {name} | {rate:.1f} | {rate / one:.2f} |" for name, rate in rates.items()]
    return "\n".join(["| server | images/s | against one on Ray |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    sys.exit(main())
