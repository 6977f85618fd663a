"""A small HTTP client over one connection, quick enough to load the service from the same machine."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes

    @property
    def server_ms(self) -> float:
        """From arrival to answer by the service's clock."""
        return float(self.headers[b"server-timing"].split(b"total;dur=")[1])

    def json(self) -> Any:
        return orjson.loads(self.body)


def request(body: bytes, path: str = "/pose", **headers: str) -> bytes:
    """The bytes of a POST; `_` in a header's name stands for `-`."""
    lines = [f"POST {path} HTTP/1.1", "Host: service", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One connection, kept open until the service closes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, address: tuple[str, int]) -> "Connection":
        return cls(*await asyncio.open_connection(*address))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> Answer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers[b"content-length"]))
        return Answer(int(first.split()[1]), headers, body)

    async def ask(self, data: bytes) -> Answer:
        self.send(data)
        return await self.answer()

    async def leave(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    @property
    def is_open(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()
