"""PNG: chunks and checksums, the chunks that make the picture alone for Pillow, transparency."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from isal import isal_zlib

from hrformer.images.colour import blend_over_white, rgb_from_indices, rgb_pixels, strips
from hrformer.images.errors import UnsupportedFormat
from hrformer.images.formats.exif import exif_orientation
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels
from hrformer.images.formats.pillow import load

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGB_ALPHA: (8, 16),
}
_MAX_CHUNKS = 100_000  # 20 MiB in pieces of 8 KiB, libpng's smallest, make 2,560


class Chunk(NamedTuple):
    """One chunk: its payload is `data[start:end]`, its checksum the four bytes after."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Png:
    """The chunks that say how the picture looks."""

    width: int
    height: int
    depth: int
    colour: int
    chunks: tuple[Chunk, ...]
    complete: bool
    """the end chunk was reached"""

    def first(self, data: bytes, kind: bytes) -> bytes:
        """Payload of the first chunk of a kind; empty if there is none."""
        return next((data[chunk.start : chunk.end] for chunk in self.chunks if chunk.kind == kind), b"")


def layout(data: bytes) -> Layout:
    """Size and EXIF orientation of a PNG.

    raises: BrokenImage, UnsupportedFormat.
    """
    png = _read(data)
    return Layout(png.width, png.height, exif_orientation(png.first(data, b"eXIf")))


def pixels(data: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB over white; the default image of an animation.

    raises: BrokenImage if a checksum is wrong, the end is missing or the pixels are.
    """
    png = _read(data)
    _check(data, png)
    if png.colour == _PALETTE:
        return _from_palette(data, png)
    transparent = png.first(data, b"tRNS")
    if png.colour in (_GREY, _RGB) and transparent:
        return _with_transparent_colour(data, png, transparent)
    return rgb_pixels(load("PNG", _alone(data, png)))


def _read(data: bytes) -> Png:
    chunks, complete = _chunks(data)
    if (
        not chunks
        or chunks[0].kind != b"IHDR"
        or chunks[0].end - chunks[0].start != 13
        or not _sound(data, chunks[0])
    ):
        raise broken_header("PNG", "the first chunk is no whole IHDR")
    fields = data[chunks[0].start : chunks[0].end]
    width, height = int.from_bytes(fields[:4], "big"), int.from_bytes(fields[4:8], "big")
    depth, colour = fields[8], fields[9]
    if (
        min(width, height) == 0
        or depth not in _DEPTHS.get(colour, ())
        or fields[10:12] != b"\0\0"
        or fields[12] > 1
    ):
        raise broken_header(
            "PNG", f"{width}x{height} px, colour type {colour} with {depth} bits is not a PNG"
        )
    return Png(width, height, depth, colour, tuple(chunks), complete)


def _chunks(data: bytes) -> tuple[list[Chunk], bool]:
    """The whole chunks, and whether the last of them is the end chunk."""
    found: list[Chunk] = []
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data) or not kind.isalpha():
            break
        if kind == b"CgBI":
            raise UnsupportedFormat(
                "Apple's variant of PNG (CgBI) is not read; save the picture as a standard PNG or JPEG"
            )
        found.append(Chunk(kind, at + 8, end))
        if kind == b"IEND":
            return found, True
        if len(found) > _MAX_CHUNKS:
            raise broken_header("PNG", f"it holds more than {_MAX_CHUNKS} chunks")
        at = end + 4
    return found, False


def _sound(data: bytes, chunk: Chunk) -> bool:
    body = memoryview(data)[chunk.start - 4 : chunk.end]
    return isal_zlib.crc32(body) == int.from_bytes(data[chunk.end : chunk.end + 4], "big")


_DECIDING = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")


def _check(data: bytes, png: Png) -> None:
    # Pillow reads past the checksums of image data; a flipped bit there often still inflates.
    deciding = [chunk for chunk in png.chunks if chunk.kind in _DECIDING]
    if not png.complete or not all(_sound(data, chunk) for chunk in deciding):
        raise broken_pixels("PNG")
    if png.colour == _PALETTE and not png.first(data, b"PLTE"):
        raise broken_header("PNG", "a palette picture without a palette")


def _alone(data: bytes, png: Png) -> bytes:
    """The file without what does not show: text, profiles, animation, with all their room for mischief."""
    kept = [chunk for chunk in png.chunks if chunk.kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND")]
    return b"".join([_SIGNATURE, *(data[chunk.start - 8 : chunk.end + 4] for chunk in kept)])


def _from_palette(data: bytes, png: Png) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    colours = np.frombuffer(png.first(data, b"PLTE")[:768], np.uint8)
    table[: len(colours) // 3] = colours[: len(colours) // 3 * 3].reshape(-1, 3)
    alpha = np.full(256, 255, np.uint8)
    opacities = np.frombuffer(png.first(data, b"tRNS")[:256], np.uint8)
    alpha[: len(opacities)] = opacities
    return rgb_from_indices(load("PNG", _alone(data, png)), blend_over_white(table, alpha))


def _with_transparent_colour(data: bytes, png: Png, transparent: bytes) -> np.ndarray:
    """The picture with every pixel of exactly one colour made white."""
    if len(transparent) != (2 if png.colour == _GREY else 6):
        raise broken_header("PNG", "the transparent colour has the wrong length")
    samples = _samples(data, png)
    key = np.frombuffer(transparent, ">u2").astype(np.uint16) & ((1 << png.depth) - 1)
    if png.depth < 8:
        key = key * (255 // ((1 << png.depth) - 1))
    seen = samples if png.depth <= 8 else samples >> 8
    rgb = np.ascontiguousarray(np.broadcast_to(seen, (png.height, png.width, 3)), np.uint8)
    for rows in strips(png.height, png.width):
        rgb[rows][(samples[rows] == key).all(axis=2)] = 255
    return rgb


def _samples(data: bytes, png: Png) -> np.ndarray:
    """`(height, width, 1 or 3)`, uint8 up to 8 bits, else uint16."""
    image = load("PNG", _alone(data, png))
    samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    if png.colour == _GREY:
        return samples[:, :, None]
    if png.depth == 8:
        return samples
    # Pillow keeps one byte of sixteen bits: the high one as big-endian, the low one read as if little-endian.
    low = np.asarray(load("PNG", _alone(data, png), rawmode="RGB;16L"))
    high = samples.astype(np.uint16) << 8
    return np.asarray(high | low)
