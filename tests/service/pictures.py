"""Small pictures of one colour, and files that are none."""

import io
import random
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]


def plain(colour: Colour = (100, 150, 200), width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    """A picture file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()


def huge(side_px: int = 13_000) -> bytes:
    """20 KB of a PNG whose header says it has so many pixels a side."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    header = side_px.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(20_000))


def halves(left: Colour, right: Colour, width: int = 40, height: int = 30) -> bytes:
    """A PNG whose left half has one colour and whose right half another."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = left, right
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def noise(width: int, height: int, kind: str = "JPEG") -> bytes:
    """A picture file that does not compress."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def damaged(files: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Files with a few bytes changed, stretches taken out or doubled, or an end that is missing."""
    chance = random.Random(0)
    for _ in range(count):
        data = bytearray(chance.choice(files))
        for _ in range(chance.randint(1, 4)):
            at, length = chance.randrange(len(data)), chance.choice((1, 1, 2, 4, 50))
            change = chance.choice(("bytes", "bytes", "out", "double", "end"))
            if change == "bytes":
                data[at : at + length] = chance.randbytes(length)
            elif change == "out" and len(data) > at + length:
                del data[at : at + length]
            elif change == "double":
                data[at:at] = data[at : at + length]
            elif at:
                del data[at:]
        yield bytes(data)
