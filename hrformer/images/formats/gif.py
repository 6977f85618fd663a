"""GIF: the first frame on its canvas."""

import struct
from dataclasses import dataclass

import numpy as np

from hrformer.images.colour import rgb_from_indices
from hrformer.images.formats.layout import Layout, broken_header
from hrformer.images.formats.pillow import load

_EXTENSION, _IMAGE, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9
_MAX_BLOCKS = 100_000  # of 255 bytes: more than a file of 20 MiB needs


@dataclass(frozen=True)
class Frame:
    """The first frame and the canvas around it."""

    canvas_width: int
    canvas_height: int
    x: int
    y: int
    width: int
    height: int
    interlaced: bool
    palette: bytes
    """red, green, blue for each index; empty where the file has no palette"""
    transparent: int | None
    """index that shows what lies below"""
    start: int
    """where the compressed pixels begin"""


def layout(data: bytes) -> Layout:
    """Size of the canvas, made larger where the first frame reaches past it, as browsers do.

    raises: BrokenImage.
    """
    frame = _first_frame(data)
    return Layout(frame.canvas_width, frame.canvas_height)


def pixels(data: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB of the first frame, white where it is transparent or does not reach.

    raises: BrokenImage.
    """
    frame = _first_frame(data)
    shown = rgb_from_indices(load("GIF", _alone(data, frame)), _table(frame))
    if (frame.width, frame.height) == (frame.canvas_width, frame.canvas_height):
        return shown
    canvas = np.full((frame.canvas_height, frame.canvas_width, 3), 255, np.uint8)
    canvas[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width] = shown
    return canvas


def _first_frame(data: bytes) -> Frame:
    try:
        return _parse(data)
    except (IndexError, struct.error):
        raise broken_header("GIF", "the file ends before its first frame") from None


def _parse(data: bytes) -> Frame:
    screen_width, screen_height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13
    palette, at = _palette(data, at, flags)
    transparent, at = _skip_extensions(data, at)
    x, y, width, height, flags = struct.unpack_from("<HHHHB", data, at + 1)
    if min(width, height) == 0:
        raise broken_header("GIF", f"its first frame is {width}x{height} px")
    own, at = _palette(data, at + 10, flags)
    canvas = (max(screen_width, x + width), max(screen_height, y + height))
    return Frame(*canvas, x, y, width, height, bool(flags & 0x40), own or palette, transparent, at)


def _palette(data: bytes, at: int, flags: int) -> tuple[bytes, int]:
    if not flags & 0x80:
        return b"", at
    end = at + (6 << (flags & 7))
    return data[at:end], end


def _skip_extensions(data: bytes, at: int) -> tuple[int | None, int]:
    """The transparent index, and where the image descriptor begins."""
    transparent = None
    for _ in range(_MAX_BLOCKS):
        if data[at] == _IMAGE:
            return transparent, at
        if data[at] != _EXTENSION:
            break
        if data[at + 1] == _GRAPHIC_CONTROL and data[at + 2] >= 4:
            transparent = data[at + 6] if data[at + 3] & 1 else None
        at = _skip_blocks(data, at + 2)
    raise broken_header("GIF", "no frame comes where one should")


def _skip_blocks(data: bytes, at: int) -> int:
    """Where the blocks that begin here have ended."""
    for _ in range(_MAX_BLOCKS):
        if not data[at]:
            return at + 1
        at += 1 + data[at]
    raise broken_header("GIF", f"an extension holds more than {_MAX_BLOCKS} blocks")


def _alone(data: bytes, frame: Frame) -> bytes:
    """A file of the frame without palette and canvas, which Pillow reads as the bare indices."""
    size = struct.pack("<HH", frame.width, frame.height)
    flags = 0x40 if frame.interlaced else 0
    return b"".join([b"GIF89a", size, b"\0\0\0,\0\0\0\0", size, bytes([flags]), data[frame.start :]])


def _table(frame: Frame) -> np.ndarray:
    """`(256, 3)` uint8: the colour of each index."""
    if not frame.palette:
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    else:
        table = np.zeros((256, 3), np.uint8)
        colours = np.frombuffer(frame.palette, np.uint8)[: len(frame.palette) // 3 * 3].reshape(-1, 3)
        table[: len(colours)] = colours
    if frame.transparent is not None:
        table[frame.transparent] = 255
    return table
