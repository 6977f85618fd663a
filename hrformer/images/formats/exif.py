"""The orientation in EXIF metadata, which is a small TIFF directory."""

import struct

_ORIENTATION = 0x0112
_INTEGER_TYPES = {1: "B", 3: "H", 4: "I"}


def exif_orientation(exif: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 where the metadata is absent, damaged or says nothing.

    exif: a TIFF header and directory, with or without the `Exif` mark before it.
    source: CIPA DC-008 (EXIF 2.32), sections 4.5 and 4.6.4.
    """
    exif = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    for entry in _entries(exif, directory, order):
        tag, kind, count = struct.unpack_from(order + "HHI", entry)
        if tag == _ORIENTATION and count == 1 and kind in _INTEGER_TYPES:
            (value,) = struct.unpack_from(order + _INTEGER_TYPES[kind], entry, 8)
            return value if 1 <= value <= 8 else 1
    return 1


def _entries(exif: bytes, directory: int, order: str) -> list[bytes]:
    if directory + 2 > len(exif):
        return []
    (count,) = struct.unpack_from(order + "H", exif, directory)
    starts = range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12)
    return [exif[at : at + 12] for at in starts]
