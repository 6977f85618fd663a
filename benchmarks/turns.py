"""Engine and servers, one after another, round after round, so that each meets the same machine."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from benchmarks.measure import agree, as_dict, closed_loads, engine_turn, open_loads, server_turn
from benchmarks.servers import NotReady, Server
from benchmarks.setup import Setup
from benchmarks.summary import best, sustained
from service.load.run import Load


@dataclass(frozen=True)
class Turns:
    """What all turns share."""

    setup: Setup
    task: str
    pictures: Sequence[bytes]
    seconds: float  # of each load, and of the engine
    log: IO[bytes]  # of the servers

    def engine(self) -> dict[int, float]:
        """Images a second by batch size."""
        return engine_turn(self.setup, self.seconds)

    def server(
        self, server: Server, loads: Sequence[Load], expected: list[Any]
    ) -> list[dict[str, Any]] | None:
        """The figures of each load; None for a server that does not start, or gives other results.

        expected: the result of the first server, or still nothing.
        """
        try:
            result, figures = server_turn(server, self.setup, self.task, self.pictures, loads, self.log)
        except NotReady as error:
            say(f"  {error}; its log is {self.log.name}")
            return None
        expected.append(result)
        if not agree(self.task, result, expected[0]):
            say(f"  {server.name} gives other results than the first server, and is not counted")
            return None
        found = [as_dict(*pair) for pair in zip(loads, figures, strict=True)]
        say(f"  {server.name}: {sustained(found):.1f} images/s")
        return found


def take_turns(
    turns: Turns, servers: Sequence[Server], *, rounds: int, clients: Sequence[int], shares: Sequence[float]
) -> list[dict[str, Any]]:
    """One round after another; in each, the engine and every server, beginning with another one.

    clients: of the closed loops. shares: of the engine's speed, rates of the open loops.
    """
    fastest = best(turns.engine())
    loads = closed_loads(clients, turns.seconds)
    loads += open_loads([round(share * fastest, 1) for share in shares], turns.seconds)
    found, expected = [], list[Any]()
    for number in range(rounds):
        first = number % len(servers)
        found.append(one_round(turns, [*servers[first:], *servers[:first]], loads, expected))
    return found


def one_round(
    turns: Turns, servers: Sequence[Server], loads: Sequence[Load], expected: list[Any]
) -> dict[str, Any]:
    """The engine, all servers, and the engine again; its figures are the means of both."""
    before, found = turns.engine(), {}
    say(f"engine: {best(before):.1f} images/s")
    for server in servers:
        if (figures := turns.server(server, loads, expected)) is not None:
            found[server.name] = figures
    after = turns.engine()
    return {"engine": {size: (before[size] + after[size]) / 2 for size in before}, "servers": found}


def say(line: str) -> None:
    """Progress, beside the results."""
    print(line, file=sys.stderr, flush=True)
