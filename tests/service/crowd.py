"""Clients that ask at the same time, over connections of their own."""

import asyncio
from collections.abc import Iterator

from tests.service.pictures import Colour, plain
from tests.service.raw_client import Connection, request


def colours(count: int) -> Iterator[Colour]:
    """Colours, no two alike up to 65,536."""
    return ((number % 256, number // 256 % 256, number * 7 % 256) for number in range(count))


async def mixed_up(address: tuple[str, int], *, pictures: int, connections: int) -> int:
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
