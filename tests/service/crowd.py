"""Clients that ask at the same time, over connections of their own."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.service.pictures import Colour, noise, plain
from tests.service.raw_client import Connection, request

Address = tuple[str, int]
REFUSED = 429


@dataclass
class Figures:
    """What a crowd met."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)  # of each answer, by status
    refused_ms: list[float] = field(default_factory=list)  # of the service's own time, by its own clock
    left: int = 0  # clients that did not wait for their answer

    def note(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.seconds.setdefault(status, []).append(seconds)

    def percentile_ms(self, status: int, percent: float) -> float:
        times = sorted(self.seconds.get(status, [0.0]))
        return 1000 * times[min(int(len(times) * percent / 100), len(times) - 1)]


def colours(count: int) -> Iterator[Colour]:
    """Colours, no two alike up to 65,535, and none of them black, at which stand-in models stop."""
    return ((number % 256, number // 256 % 256, number * 7 % 256) for number in range(1, count + 1))


async def mixed_up(address: Address, *, pictures: int, connections: int) -> int:
    """How many of so many pictures of one colour are answered with another colour."""
    left = colours(pictures)

    async def ask_all() -> int:
        connection, wrong = await Connection.open(address), 0
        for red, green, blue in left:
            answer = await connection.ask(request(plain((red, green, blue))))
            point = answer.json()["people"][0]["keypoints"][3]
            wrong += (point["x"], point["y"], point["score"]) != (red, green, round(blue / 255, 4))
        await connection.leave()
        return wrong

    return sum(await asyncio.gather(*(ask_all() for _ in range(connections))))


class Asker(asyncio.Protocol):
    """Asks the same again as soon as it is answered, at less cost than streams have."""

    def __init__(self, data: bytes, figures: Figures, end: float) -> None:
        self._data, self._figures, self._end = data, figures, end
        self._read = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._data)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        now, self._read = time.perf_counter(), b""
        self._figures.note(int(head[9:12]), now - self._begun)
        if now < self._end:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)


async def closed_loop(address: Address, data: bytes, *, clients: int, seconds: float) -> Figures:
    """Clients that each ask again as soon as they are answered."""
    figures, end, loop = Figures(), time.perf_counter() + seconds, asyncio.get_running_loop()
    askers = [
        (await loop.create_connection(lambda: Asker(data, figures, end), *address))[1] for _ in range(clients)
    ]
    await asyncio.gather(*(asker.done for asker in askers))
    return figures


async def open_loop(address: Address, data: bytes, *, rate: float, seconds: float) -> Figures:
    """Poisson arrivals at so many a second, whatever the answers; times are from the intended start."""
    figures, chance, asking = Figures(), random.Random(0), set()
    idle: list[Connection] = []

    async def ask(begun: float) -> None:
        connection = idle.pop() if idle else await Connection.open(address)
        answer = await connection.ask(data)
        figures.note(answer.status, time.perf_counter() - begun)
        if answer.status == REFUSED:
            figures.refused_ms.append(answer.server_ms)
        idle.append(connection)

    begun = next_at = time.perf_counter()
    while next_at < begun + seconds:
        await asyncio.sleep(max(next_at - time.perf_counter(), 0.0))
        asking.add(asyncio.create_task(ask(next_at)))
        next_at += chance.expovariate(rate)
    await asyncio.gather(*asking)
    for connection in idle:
        await connection.leave()
    return figures


def mix() -> list[bytes]:
    """A hundred requests: pictures of several sizes and formats, all routes, one that is no picture."""
    small, photo, large = plain(kind="JPEG"), noise(320, 240), noise(640, 480, "PNG")
    boxes = "/pose?boxes=[[0,0,20,20],[5,5,20,20],[10,10,20,20]]"
    usual = [request(small), request(photo), request(small, boxes), request(photo, "/segment")]
    rare = [request(photo, "/pose?format=overlay"), request(large, "/segment?format=json"), request(large)]
    return [*usual * 22, *rare * 3, request(b"no picture"), request(small, "/pose?nothing=1")]


async def soak(address: Address, *, requests: int, clients: int, seconds: float) -> Figures:
    """The mix from so many clients, of which one in fifty leaves before it is answered."""
    figures, chance, data = Figures(), random.Random(0), mix()
    end = time.perf_counter() + seconds

    async def ask_on() -> None:
        connection = await Connection.open(address)
        while figures.statuses.total() + figures.left < requests and time.perf_counter() < end:
            begun = time.perf_counter()
            if chance.random() < 0.02:
                connection.send(chance.choice(data))
                await connection.leave()
                figures.left += 1
                connection = await Connection.open(address)
                continue
            answer = await connection.ask(chance.choice(data))
            figures.note(answer.status, time.perf_counter() - begun)
        await connection.leave()

    await asyncio.gather(*(ask_on() for _ in range(clients)))
    return figures


async def leave_again(address: Address, data: bytes, *, clients: int, seconds: float) -> int:
    """How many requests so many clients send and do not wait for; each stays for 0.05 to 0.15 s.

    All for the same time, they would come and go in step with each other and with the model's batches.
    """
    end, chance = time.perf_counter() + seconds, random.Random(0)

    async def ask_and_leave() -> int:
        left = 0
        while time.perf_counter() < end:
            connection = await Connection.open(address)
            connection.send(data)
            await asyncio.sleep(chance.uniform(0.05, 0.15))
            await connection.leave()
            left += 1
        return left

    return sum(await asyncio.gather(*(ask_and_leave() for _ in range(clients))))


async def asked_in_turn(address: Address, bodies: Iterator[bytes], *, connections: int) -> Figures:
    """Answers to these bodies, over so many connections."""
    figures = Figures()

    async def ask_all() -> None:
        connection = await Connection.open(address)
        for body in bodies:
            begun = time.perf_counter()
            answer = await connection.ask(request(body))
            figures.note(answer.status, time.perf_counter() - begun)
        await connection.leave()

    await asyncio.gather(*(ask_all() for _ in range(connections)))
    return figures
