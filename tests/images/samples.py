"""Files to decode, made from real photographs or by rule."""

import io
import struct
import zlib
from itertools import accumulate
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageCms

PICTURES = Path(__file__).parent.parent / "pictures"


def photo(width: int = 75, height: int = 58) -> Image.Image:
    """A small RGB photograph whose sides are no multiple of 8."""
    with Image.open(PICTURES / "astronaut.jpg") as image:
        return image.resize((width, height), Image.Resampling.LANCZOS)


def grey(width: int = 75, height: int = 58) -> Image.Image:
    return photo(width, height).convert("L")


def see_through(width: int = 75, height: int = 58) -> Image.Image:
    """The photograph with an alpha of every value from 0 to 255."""
    image = photo(width, height)
    image.putalpha(Image.linear_gradient("L").resize((width, height)))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def lab() -> Image.Image:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    return ImageCms.applyTransform(photo(), to_lab)


def ycck(inks: np.ndarray) -> bytes:
    """A JPEG of `(height, width, 4)` inks, stored as YCCK and inverted, as Adobe does."""
    return simplejpeg.encode_jpeg(255 - inks, 100, "CMYK", "444")


Passes = tuple[tuple[int, int, int, int], ...]
WHOLE: Passes = ((0, 0, 1, 1),)
ADAM7: Passes = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: np.ndarray, colour_type: int, depth: int, *extra: bytes, passes: Passes = WHOLE) -> bytes:
    """A PNG of `(height, width, channels)`, by the book; `extra` chunks stand between header and data.

    Samples of 16 bits are big-endian; of fewer than 8 bits they are packed, the first in the highest bits.
    """
    height, width, _ = samples.shape
    data = b"".join(_rows(samples[y::y_step, x::x_step], depth) for x, y, x_step, y_step in passes)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, len(passes) > 1)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _rows(samples: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        rows = samples.astype(">u2").reshape(len(samples), -1).view(np.uint8)
    elif depth == 8:
        rows = samples.astype(np.uint8).reshape(len(samples), -1)
    else:
        bits = np.unpackbits(samples.astype(np.uint8)[:, :, :1], axis=2)[:, :, 8 - depth :]
        rows = np.packbits(bits.reshape(len(samples), -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows) if rows.size else b""


def tiff(tags: dict[int, tuple[int, ...]], strips: list[bytes], *, order: str = "<") -> bytes:
    """A TIFF of uncompressed strips; `tags` without offsets and byte counts."""
    *offsets, start = accumulate((len(strip) for strip in strips), initial=8)
    tags = {**tags, 273: tuple(offsets), 279: tuple(len(strip) for strip in strips)}
    tail_at, entries, tail = start + 2 + 12 * len(tags) + 4, b"", b""
    for tag, values in sorted(tags.items()):
        body = struct.pack(f"{order}{len(values)}I", *values)
        place = body if len(body) == 4 else struct.pack(order + "I", tail_at + len(tail))
        tail += body if len(body) > 4 else b""
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return b"".join([head, *strips, struct.pack(order + "H", len(tags)), entries, b"\0" * 4, tail])


def oldest_bmp(rgb: np.ndarray) -> bytes:
    """A BMP of 24 bits with the header of OS/2, sides of 16 bits."""
    height, width, _ = rgb.shape
    rows = b"".join(row[:, ::-1].tobytes() + b"\0" * (-3 * width % 4) for row in rgb[::-1])
    return b"BM" + struct.pack("<IHHIIHHHH", 26 + len(rows), 0, 0, 26, 12, width, height, 1, 24) + rows


def gif_without_palette(data: bytes) -> bytes:
    """The file without its global table of 256 colours."""
    assert data[10] & 0x87 == 0x87
    return data[:10] + bytes([data[10] & 0x78]) + data[11:13] + data[13 + 768 :]


def run_length_bmp(indices: np.ndarray, palette: np.ndarray, *, four_bits: bool = False) -> bytes:
    """A BMP of runs of one pixel and of literals in turn; `(height, width)` indices, `(colours, 3)` RGB."""
    body = b""
    for row in indices[::-1].tolist():
        half = len(row) // 2
        for value in row[:half]:
            body += bytes([1, value << 4 if four_bits else value])
        literals = row[half:]
        packed = (
            [(a << 4) | b for a, b in zip(literals[::2], [*literals[1::2], 0], strict=False)]
            if four_bits
            else literals
        )
        body += bytes([0, len(literals), *packed]) + b"\0" * (len(packed) % 2) + b"\0\0"
    body += b"\0\1"
    table = b"".join(bytes([blue, green, red, 0]) for red, green, blue in palette.tolist())
    height, width = indices.shape
    kind = (4, 2) if four_bits else (8, 1)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, *kind, len(body), 0, 0, len(palette), 0)
    start = 14 + 40 + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + table + body


def cmyk_profile(cyan: tuple[float, float, float]) -> bytes:
    """An ICC profile for white paper, black ink and one other ink, whose colour is given in L*a*b*.

    A lut8 table with two points along each of four inks (ICC.1:2010, section 10.9), linear between them.
    """
    corners = np.array([(0, 0, 0) if at % 2 else cyan if at >= 8 else (100, 0, 0) for at in range(16)])
    table = np.column_stack([corners[:, 0] * 2.55, corners[:, 1] + 128, corners[:, 2] + 128]).round()
    ramp = bytes(range(256))
    lut = (
        b"mft1"
        + b"\0" * 4
        + bytes([4, 3, 2, 0])
        + struct.pack(">9i", *(65536 * at for at in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    )
    lut += ramp * 4 + table.astype(np.uint8).tobytes() + ramp * 3
    white = b"XYZ " + b"\0" * 4 + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text" + b"\0" * 4 + b"public domain\0"
    tags = {b"A2B0": lut, b"wtpt": white, b"cprt": text}
    at, directory, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        directory += name + struct.pack(">II", at + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + directory + body
