"""Small pictures of one colour, and files that are none."""

import io

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]


def plain(colour: Colour = (100, 150, 200), width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    """A picture file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()


def halves(left: Colour, right: Colour, width: int = 40, height: int = 30) -> bytes:
    """A PNG whose left half has one colour and whose right half another."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = left, right
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
