"""Sizes are judged from the header, before any memory is taken for pixels."""

import resource
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.images.decode import FORMATS, Limits, decode, read_header
from hrformer.images.errors import BrokenImage, ImageError, ImageTooLarge, ImageTooSmall, UnsupportedFormat
from tests.images import samples
from tests.images.samples import chunk, encoded, photo, png, tiff

HUGE = 13_000
SMALL = photo(40, 30)


@contextmanager
def room_for(extra_bytes: int) -> Iterator[None]:
    """Lets the process grow by so much and no more: the next allocation fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def jpeg_claiming(side: int, **options: object) -> bytes:
    data = encoded(SMALL, "JPEG", **options)
    at = data.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def png_claiming(side: int) -> bytes:
    rows = zlib.compress(b"\0" * (side // 8 + 1) * side)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def webp_claiming(side: int) -> bytes:
    lossy = encoded(SMALL, "WEBP")
    return lossy[:26] + struct.pack("<HH", side, side) + lossy[30:]


def extended_webp_claiming(side: int) -> bytes:
    data = encoded(SMALL, "WEBP", exif=samples.with_orientation(1))
    return data[:24] + struct.pack("<I", side - 1)[:3] * 2 + data[30:]


def gif_claiming(side: int) -> bytes:
    data = encoded(SMALL.quantize(4), "GIF")
    return data[:6] + struct.pack("<HH", side, side) + data[10:]


def gif_whose_frame_claims(side: int) -> bytes:
    data = encoded(SMALL.quantize(4), "GIF")
    at = data.index(b",\0\0\0\0") + 5
    return data[:at] + struct.pack("<HH", side, side) + data[at + 4 :]


def bmp_claiming(side: int) -> bytes:
    data = encoded(SMALL, "BMP")
    return data[:18] + struct.pack("<ii", side, -side) + data[26:]


def tiff_claiming(side: int) -> bytes:
    return tiff({256: (side,), 257: (side,), 258: (8,), 262: (1,), 277: (1,)}, [b"\0" * 20_000])


def avif_claiming(side: int) -> bytes:
    data = encoded(SMALL, "AVIF", speed=10)
    return data.replace(struct.pack(">II", 40, 30), struct.pack(">II", side, side))


BOMBS = {
    "JPEG": jpeg_claiming(HUGE),
    "progressive JPEG": jpeg_claiming(HUGE, progressive=True),
    "JPEG of the longest sides": jpeg_claiming(65_535),
    "PNG": png_claiming(HUGE),
    "WebP": webp_claiming(HUGE),
    "extended WebP": extended_webp_claiming(HUGE),
    "GIF": gif_claiming(HUGE),
    "GIF with a frame past its canvas": gif_whose_frame_claims(HUGE),
    "BMP": bmp_claiming(HUGE),
    "TIFF": tiff_claiming(HUGE),
    "AVIF": avif_claiming(HUGE),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_claims_to_be_huge_is_refused_without_memory(kind: str) -> None:
    assert len(BOMBS[kind]) < 30_000

    with room_for(16 * 1024 * 1024), pytest.raises(ImageTooLarge, match=r"\d+x\d+ px"):
        decode(BOMBS[kind], Limits(formats=(*FORMATS, "AVIF")))


def test_metadata_that_unfolds_to_far_more_is_never_unfolded() -> None:
    folded = zlib.compress(b"\0" * 150_000_000, 1)
    pixels = np.asarray(SMALL)
    text, profile = chunk(b"zTXt", b"note\0\0" + folded), chunk(b"iCCP", b"note\0\0" + folded)

    with room_for(64 * 1024 * 1024):
        picture = decode(png(pixels, 2, 8, text, profile))

    assert (picture.pixels == pixels).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10_000, 3), (3, 10_000), (15, 40), (40, 15)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_too_small_to_see_anything_in_is_refused(kind: str, width: int, height: int) -> None:
    with pytest.raises(ImageTooSmall, match=f"{width}x{height} px"):
        decode(encoded(Image.new("RGB", (width, height)), kind))


def test_sides_of_exactly_the_limit_are_accepted() -> None:
    limits = Limits(max_pixels=17 * 16, min_side_px=16)

    assert decode(encoded(photo(17, 16), "PNG"), limits).pixels.shape == (16, 17, 3)
    with pytest.raises(ImageTooLarge, match="289 pixels; expected at most 272"):
        decode(encoded(photo(17, 17), "PNG"), limits)


def test_a_file_of_too_many_bytes_is_refused() -> None:
    data = encoded(SMALL, "PNG")

    with pytest.raises(ImageTooLarge, match=f"{len(data)} bytes; expected at most {len(data) - 1}"):
        decode(data, Limits(max_bytes=len(data) - 1))


def test_limits_hold_for_the_upright_size() -> None:
    turned = encoded(photo(40, 30), "JPEG", exif=samples.with_orientation(6))

    header = read_header(turned, Limits())

    assert (header.format, header.width, header.height, header.orientation) == ("JPEG", 30, 40, 6)


def test_pillows_own_guard_stays_and_gives_no_warning() -> None:
    above_the_guard = tiff_claiming(10_000)

    with pytest.raises(ImageTooLarge):
        decode(above_the_guard, Limits(max_pixels=10**9))
    assert Image.MAX_IMAGE_PIXELS == 1024 * 1024 * 1024 // 4 // 3


TIFF_TAGS = {256: (40,), 257: (30,), 258: (8,), 262: (1,), 277: (1,)}
SILLY_TIFFS = {
    "a strip past the end": (TIFF_TAGS, [b"\0" * 1199], BrokenImage),
    "no rows in a strip": (TIFF_TAGS | {278: (0,)}, [b"\0" * 1200], BrokenImage),
    "a strip for each row, and one missing": (TIFF_TAGS | {278: (1,)}, [b"\0" * 40] * 29, BrokenImage),
    "no height": (TIFF_TAGS | {257: (0,)}, [b"\0" * 1200], BrokenImage),
    "60,000 samples": (TIFF_TAGS | {277: (60_000,)}, [b"\0" * 1200], UnsupportedFormat),
    "a tile of terapixels": (
        TIFF_TAGS | {322: (1 << 30,), 323: (1 << 30,), 324: (8,), 325: (1200,)},
        [b"\0" * 1200],
        BrokenImage,
    ),
    "a million strips": (
        {**TIFF_TAGS, 256: (16,), 257: (1_000_000,), 278: (1,)},
        [b"\0"] * 20_000,
        UnsupportedFormat,
    ),
    "32-bit integers": (TIFF_TAGS | {258: (32,)}, [b"\0" * 4800], UnsupportedFormat),
    "floating point": (TIFF_TAGS | {258: (32,), 339: (3,)}, [b"\0" * 4800], UnsupportedFormat),
    "signed samples": (TIFF_TAGS | {339: (2,)}, [b"\0" * 1200], UnsupportedFormat),
    "fax compression": (TIFF_TAGS | {258: (1,), 259: (4,)}, [b"\0" * 1200], UnsupportedFormat),
    "samples of unequal bits": (TIFF_TAGS | {258: (5, 6, 5), 262: (2,)}, [b"\0" * 2400], UnsupportedFormat),
    "JPEG with a plane for each sample": (
        TIFF_TAGS | {258: (8,) * 3, 259: (7,), 262: (6,), 277: (3,), 284: (2,)},
        [b"\0" * 1200] * 3,
        UnsupportedFormat,
    ),
    "JPEG of another size than the page": (
        TIFF_TAGS | {259: (7,)},
        [encoded(SMALL.resize((24, 24)).convert("L"), "JPEG")],
        BrokenImage,
    ),
    "JPEG of far more than the page": (TIFF_TAGS | {259: (7,)}, [jpeg_claiming(9000)], BrokenImage),
    "palette indices in planes": (
        TIFF_TAGS | {258: (8,) * 3, 262: (3,), 277: (3,), 284: (2,)},
        [b"\0" * 1200] * 3,
        UnsupportedFormat,
    ),
    "a negative of a camera": (TIFF_TAGS | {50706: (1,)}, [b"\0" * 1200], UnsupportedFormat),
}


@pytest.mark.parametrize("case", SILLY_TIFFS)
def test_a_tiff_that_makes_no_sense_is_refused_without_memory(case: str) -> None:
    tags, strips, error = SILLY_TIFFS[case]

    with room_for(64 * 1024 * 1024), pytest.raises(error):
        decode(tiff(tags, strips))


def test_a_progressive_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(SMALL, "JPEG", progressive=True)
    scans = data.index(b"\xff\xda")
    last = data.rindex(b"\xff\xda")

    with pytest.raises(BrokenImage, match="scans"):
        decode(data[:-2] + data[last:-2] * 500 + data[-2:])
    assert scans < last


@pytest.mark.parametrize("extension", [b"!\xfe" + b"\1a" * 10_000_000, b"!\xfe\1a\0" * 4_000_000])
def test_a_gif_of_nothing_but_remarks_is_refused(extension: bytes) -> None:
    data = encoded(SMALL.quantize(4), "GIF")
    frame = data.index(b",\0\0\0\0")

    with pytest.raises(BrokenImage, match="GIF header"):
        decode(data[:frame] + extension + data[frame:])


@pytest.mark.parametrize(
    "head", [b"\xff\xd8\xff", b"\xff\xd8" + b"\xff\xe1\0\2" * 200_000, b"\xff\xd8" + b"\xff" * 900_000]
)
def test_a_jpeg_of_nothing_but_markers_is_refused(head: bytes) -> None:
    with pytest.raises(BrokenImage):
        decode(head)


def test_png_chunks_without_end_are_refused() -> None:
    data = encoded(SMALL, "PNG")

    with pytest.raises(ImageError):
        decode(data[:33] + chunk(b"quIk", b"") * 200_000 + data[33:])
