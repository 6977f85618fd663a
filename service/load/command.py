"""`hrformer-load`: a load on a running service, and what it met."""

import argparse
import asyncio
import ipaddress
import random
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from service.client.connection import Address
from service.client.pool import Pool
from service.load.figures import Fate
from service.load.flags import parser
from service.load.mix import Mix, requests
from service.load.pictures import SIZES, made_pictures, photographs
from service.load.report import Result, as_json, latency_chart, progress, table
from service.load.run import Load, Run

CONNECT_S = 5.0
OK, ANSWER_IS_NO, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0; 1 no load met a good answer; 2 wrong use; 130 interrupted, with the figures so far."""
    arguments = parser().parse_args(argv)
    try:
        mix, loads = _mix(arguments), _loads(arguments)
        address = reached(Address.of(arguments.url), allow_remote=arguments.allow_remote)
        results, interrupted = asyncio.run(_measure(arguments, address, mix, loads))
    except (ValueError, OSError) as error:
        print(f"hrformer-load: {error}", file=sys.stderr)  # noqa: T201  # one line for whoever typed it
        return WRONG_USE
    _show(arguments, results, interrupted=interrupted)
    if interrupted:
        return INTERRUPTED
    return OK if any(figures.fates.get(Fate.GOOD) for _, figures in results) else ANSWER_IS_NO


def reached(address: Address, *, allow_remote: bool) -> Address:
    """The address at which a service answers; of another machine only where that is allowed.

    raises: ValueError, OSError where the name is unknown.
    """
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    hosts = [str(one[4][0]) for one in found]
    if not allow_remote and not all(map(_is_this_machine, hosts)):
        raise ValueError(
            f"{address.host} is not this machine; add --allow-remote to load a service that is yours to load"
        )
    for host in hosts:
        with suppress(OSError), socket.create_connection((host, address.port), CONNECT_S):
            return address if address.secure else replace(address, host=host)
    raise ValueError(f"nothing listens on {address.authority}; start the service first (make serve)")


def _is_this_machine(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _mix(arguments: argparse.Namespace) -> Mix:
    chance = random.Random(arguments.seed)
    pictures = (
        photographs(arguments.photos, arguments.sizes, chance)
        if arguments.photos
        else made_pictures(arguments.sizes or SIZES, chance)
    )
    headers = {"X-Timeout-Ms": str(arguments.timeout_ms), **dict(arguments.header)}
    paths = arguments.path or ["/pose"]
    leave_within_s = arguments.leave_within_ms / 1000
    return Mix(pictures, paths, headers, arguments.invalid, arguments.leave, leave_within_s)


def _loads(arguments: argparse.Namespace) -> list[Load]:
    usual = Load(
        seconds=arguments.seconds,
        warm_up_s=arguments.warm_up,
        burst=arguments.burst,
        timeout_s=arguments.timeout_ms / 1000,
        retries=arguments.retries,
        seed=arguments.seed,
    )
    if arguments.rate:
        return [replace(usual, rate=rate) for rate in arguments.rate]
    return [replace(usual, clients=clients) for clients in arguments.clients]


async def _measure(
    arguments: argparse.Namespace, address: Address, mix: Mix, loads: Sequence[Load]
) -> tuple[list[Result], bool]:
    """The figures of one load after another; with Ctrl-C those so far."""
    results: list[Result] = []
    shows = sys.stderr.isatty() and not arguments.quiet
    for load in loads:
        pool = Pool(address, max_connections=arguments.max_connections)
        run = Run(load, requests(mix, address, random.Random(load.seed)), pool)
        going = asyncio.create_task(run.go())
        stop_when_told(going)
        watching = asyncio.create_task(_watch(run, shows=shows))
        await asyncio.wait([going])
        watching.cancel()
        pool.close()
        results.append((load, run.figures()))
        if going.cancelled():
            return results, True
        await going
    return results, False


def stop_when_told(task: "asyncio.Task[None]") -> None:
    """Ctrl-C and SIGTERM end the task; where the system has no such handlers, Python's own do."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(sign, task.cancel)


async def _watch(run: Run, *, shows: bool) -> None:
    seen = 0
    while shows:
        await asyncio.sleep(1)
        seen, line = len(run.outcomes), progress(run, seen)
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)  # noqa: T201


def _show(arguments: argparse.Namespace, results: Sequence[Result], *, interrupted: bool) -> None:
    if sys.stderr.isatty() and not arguments.quiet:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201
    if arguments.svg:
        arguments.svg.write_text(latency_chart(results), encoding="utf-8")
    print(as_json(arguments.url, results, interrupted=interrupted) if arguments.json else table(results))  # noqa: T201
