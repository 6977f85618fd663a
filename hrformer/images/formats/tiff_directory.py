"""The first directory of a TIFF: its tags as plain numbers, checked, and written anew without the others."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from hrformer.images.formats.layout import broken_header

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 274, 277, 278, 279
PLANAR, PREDICTOR, COLOUR_MAP = 284, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
SUBFILE_TYPE, SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT = 254, 330, 338, 339
JPEG_TABLES, SUBSAMPLING, PROFILE, DNG_VERSION = 347, 530, 34675, 50706

_NUMBERS = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES}
    | {ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR, COLOUR_MAP, TILE_WIDTH}
    | {TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, SUBFILE_TYPE, SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT}
    | {SUBSAMPLING, DNG_VERSION}
)
_LISTS = frozenset({BITS, STRIP_OFFSETS, STRIP_BYTES, COLOUR_MAP, TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES})
_LISTS |= {SAMPLE_FORMAT, SUBSAMPLING}
_LONG_TAGS = frozenset({WIDTH, HEIGHT, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES})
_LONG_TAGS |= {TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES}
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_BYTE_TYPES = (1, 7)
_MAX_ENTRIES = 4096
_MAX_VALUES = 65_536


@dataclass(frozen=True)
class Directory:
    """Tags of the first page."""

    order: str
    """`<` or `>`, as in `struct`"""
    numbers: Mapping[int, tuple[int, ...]]
    blobs: Mapping[int, bytes]
    """colour profile and JPEG tables"""

    def first(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return self.numbers.get(tag, (default,))[0]


def read_directory(data: bytes) -> Directory:
    """The first directory of a classic or big TIFF.

    raises: BrokenImage if it does not lie within the file.
    source: TIFF 6.0, section 2; the BigTIFF design by libtiff.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        return _read(data, order, big=b"+" in data[2:4])
    except (struct.error, OverflowError):
        raise broken_header("TIFF", "its directory lies outside the file") from None


def _read(data: bytes, order: str, *, big: bool) -> Directory:
    start_format, count_format, entry_format = ("Q", "Q", "HHQQ") if big else ("I", "H", "HHII")
    (at,) = struct.unpack_from(order + start_format, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + count_format, data, at)
    if count > _MAX_ENTRIES:
        raise broken_header("TIFF", f"its directory has {count} entries")
    at += struct.calcsize(order + count_format)
    step, room = struct.calcsize(order + entry_format), 8 if big else 4  # values that fit stand in the entry
    numbers: dict[int, tuple[int, ...]] = {}
    blobs: dict[int, bytes] = {}
    for entry in range(at, at + count * step, step):
        tag, kind, length, where = struct.unpack_from(order + entry_format, data, entry)
        if length * _size(kind) <= room:
            where = entry + step - room
        if tag in numbers or tag in blobs:
            continue
        if tag in _NUMBERS and kind in _TYPES:
            # One width is one number; Pillow warns of a second.
            length = min(length, _MAX_VALUES if tag in _LISTS else 1)
            numbers[tag] = struct.unpack_from(f"{order}{length}{_TYPES[kind]}", data, where)
        elif tag in (PROFILE, JPEG_TABLES) and kind in _BYTE_TYPES:
            blobs[tag] = data[where : where + length]
    return Directory(order, {tag: values for tag, values in numbers.items() if values}, blobs)


def _size(kind: int) -> int:
    return struct.calcsize("=" + _TYPES.get(kind, "B"))


def with_directory(data: bytes, directory: Directory) -> bytes:
    """The file as a classic TIFF whose only directory, at the end, is this one."""
    at = len(data) + len(data) % 2
    entries: list[bytes] = []
    tail: list[bytes] = []
    tail_at = at + 2 + 12 * (len(directory.numbers) + len(directory.blobs)) + 4
    for tag, kind, length, body in sorted(_packed(directory)):
        value = body.ljust(4, b"\0")
        if len(body) > 4:
            value = struct.pack(directory.order + "I", tail_at)
            tail.append(body + b"\0" * (len(body) % 2))
            tail_at += len(tail[-1])
        entries.append(struct.pack(directory.order + "HHI", tag, kind, length) + value)
    head = (b"II*\0" if directory.order == "<" else b"MM\0*") + struct.pack(directory.order + "I", at)
    count = struct.pack(directory.order + "H", len(entries))
    return b"".join([head, data[8:], b"\0" * (len(data) % 2), count, *entries, b"\0\0\0\0", *tail])


def _packed(directory: Directory) -> list[tuple[int, int, int, bytes]]:
    """Tag, type, number of values and bytes of every tag."""
    packed = []
    for tag, values in directory.numbers.items():
        kind, letter = (4, "I") if tag in _LONG_TAGS else (3, "H")
        try:
            packed.append(
                (tag, kind, len(values), struct.pack(f"{directory.order}{len(values)}{letter}", *values))
            )
        except struct.error:
            raise broken_header("TIFF", f"a value of tag {tag} is out of range") from None
    packed.extend((tag, 7, len(body), body) for tag, body in directory.blobs.items())
    return packed
