"""The chunks of a PNG, their checksums, and how much picture they hold."""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from isal import igzip_lib, isal_zlib

from hrformer.images.errors import UnsupportedFormat
from hrformer.images.formats.layout import broken_header, broken_pixels

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGB_ALPHA: (8, 16),
}
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_WHOLE = ((0, 0, 1, 1),)
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_INFLATED_AT_ONCE = 1 << 20
_MAX_CHUNKS = 100_000  # 20 MiB in pieces of 8 KiB, libpng's smallest, make 2,560


class Chunk(NamedTuple):
    """One chunk: its payload is `data[start:end]`, its checksum the four bytes after."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Png:
    """A PNG whose header is sound."""

    data: bytes = field(repr=False)
    width: int
    height: int
    depth: int
    """bits of a sample"""
    colour: int
    interlaced: bool
    chunks: tuple[Chunk, ...]
    is_complete: bool
    """the end chunk was reached"""

    def first(self, kind: bytes) -> bytes:
        """Payload of the first chunk of a kind; empty if there is none."""
        return next((self.data[chunk.start : chunk.end] for chunk in self.chunks if chunk.kind == kind), b"")

    def alone(self) -> bytes:
        """The file without what does not show: text, profiles, animation, all room for mischief."""
        kept = [chunk for chunk in self.chunks if chunk.kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND")]
        return b"".join([_SIGNATURE, *(self.data[chunk.start - 8 : chunk.end + 4] for chunk in kept)])


def read_png(data: bytes) -> Png:
    """The chunks of a PNG, those after a cut left out.

    raises: BrokenImage for a header that is not sound; UnsupportedFormat for Apple's variant.
    source: PNG (Third Edition), sections 5 and 11.2.
    """
    chunks, is_complete = _chunks(data)
    head = chunks[0] if chunks else Chunk(b"", 0, 0)
    if head.kind != b"IHDR" or head.end - head.start != 13 or not _is_sound(data, head):
        raise broken_header("PNG", "the first chunk is no whole IHDR")
    width, height, depth, colour, packing, filters, interlace = struct.unpack_from(
        ">IIBBBBB", data, head.start
    )
    is_png = depth in _DEPTHS.get(colour, ()) and (packing, filters) == (0, 0) and interlace <= 1
    if min(width, height) == 0 or not is_png:
        raise broken_header("PNG", f"{width}x{height} px of colour type {colour} with {depth} bits is no PNG")
    return Png(data, width, height, depth, colour, interlace == 1, tuple(chunks), is_complete)


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
                "Apple's variant of PNG (CgBI) is not read; save the picture as plain PNG or JPEG"
            )
        found.append(Chunk(kind, at + 8, end))
        if kind == b"IEND":
            return found, True
        if len(found) > _MAX_CHUNKS:
            raise broken_header("PNG", f"it holds more than {_MAX_CHUNKS} chunks")
        at = end + 4
    return found, False


def _is_sound(data: bytes, chunk: Chunk) -> bool:
    body = memoryview(data)[chunk.start - 4 : chunk.end]
    return isal_zlib.crc32(body) == int.from_bytes(data[chunk.end : chunk.end + 4], "big")


def check_chunks(png: Png) -> None:
    """Holds the checksums of what shows against the bytes: Pillow reads past those of the image data.

    raises: BrokenImage for a wrong one, and where the end or the palette is missing.
    """
    shown = [chunk for chunk in png.chunks if chunk.kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT")]
    if not png.is_complete or not all(_is_sound(png.data, chunk) for chunk in shown):
        raise broken_pixels("PNG")
    if png.colour == PALETTE and not png.first(b"PLTE"):
        raise broken_header("PNG", "a palette picture without a palette")


def has_all_rows(png: Png) -> bool:
    """Whether the compressed data holds all bytes of the picture; no more is unfolded than that."""
    missing = _filtered_bytes(png)
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    try:
        for chunk in png.chunks:
            piece = png.data[chunk.start : chunk.end] if chunk.kind == b"IDAT" else b""
            while (piece or not inflate.needs_input) and missing > 0 and not inflate.eof:
                missing -= len(inflate.decompress(piece, _INFLATED_AT_ONCE))
                piece = b""
    except igzip_lib.IsalError:  # type: ignore[misc]  # the stub calls it an instance
        return False
    return missing <= 0


def _filtered_bytes(png: Png) -> int:
    """Bytes of all rows, each with one that names its filter, over all passes."""
    bits = png.depth * _CHANNELS[png.colour]
    total = 0
    for x, y, x_step, y_step in _PASSES if png.interlaced else _WHOLE:
        columns, rows = -(-(png.width - x) // x_step), -(-(png.height - y) // y_step)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    return total
