"""Damaged and invented files: an `ImageError` or a picture, never anything else, never more memory."""

import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from hrformer.images.decode import FORMATS, Limits, decode
from hrformer.images.errors import ImageError
from tests.images import samples
from tests.images.samples import encoded, grey, photo, see_through

LIMITS = Limits(max_pixels=250_000, formats=(*FORMATS, "AVIF"))
# One RGB picture of the limit, what Pillow's copies show to Python, and the interpreter's own.
ROOM = 250_000 * 3 * 4 + 1_000_000
SMALL = photo(40, 30)
PALETTED = SMALL.quantize(16)
EXIF = samples.with_orientation(6)
CYAN = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
FILES = [
    encoded(SMALL, "JPEG", exif=EXIF),
    encoded(SMALL, "JPEG", progressive=True),
    encoded(CYAN, "JPEG", icc_profile=samples.cmyk_profile((60, 60, -30))),
    encoded(SMALL, "PNG", exif=EXIF),
    encoded(PALETTED, "PNG", transparency=3),
    encoded(PALETTED, "GIF", transparency=3),
    encoded(SMALL, "WEBP", exif=EXIF),
    encoded(see_through(40, 30), "WEBP", lossless=True),
    encoded(SMALL, "WEBP", save_all=True, append_images=[SMALL.rotate(90)]),
    encoded(SMALL, "BMP"),
    encoded(PALETTED, "BMP"),
    samples.run_length_bmp(np.asarray(grey(40, 30)) >> 4, np.zeros((16, 3), np.uint8), four_bits=True),
    encoded(SMALL, "TIFF", exif=EXIF),
    encoded(SMALL, "TIFF", big_tiff=True),
    encoded(SMALL, "TIFF", compression="tiff_lzw"),
    encoded(SMALL, "TIFF", compression="jpeg"),
    encoded(PALETTED, "TIFF", compression="packbits"),
    encoded(CYAN, "TIFF", icc_profile=samples.cmyk_profile((60, 60, -30))),
    samples.tiff(
        {256: (40,), 257: (30,), 258: (16,) * 3, 262: (2,), 277: (3,), 284: (2,)}, [b"\7" * 2400] * 3
    ),
    encoded(SMALL, "AVIF", speed=10),
]
Change = tuple[float, int, bytes]


def changed(data: bytes, changes: list[Change]) -> bytes:
    """The file with a few stretches replaced: where, of the whole; how many bytes; by which."""
    for place, length, filling in changes:
        at = int(place * len(data))
        data = data[:at] + filling + data[at + length :]
    return data


def changes() -> st.SearchStrategy[list[Change]]:
    """Anywhere, and more often near the beginning, where the headers are."""
    place = st.one_of(st.floats(0, 1), st.floats(0, 0.1))
    return st.lists(st.tuples(place, st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4)


def decode_and_listen(data: bytes) -> None:
    """Decodes; fails on any exception but ours, on any warning, on memory past the limits."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # our own; what Pillow warns of is seen below
            picture = decode(data, LIMITS)
        assert picture.pixels.size <= LIMITS.max_pixels * 3
        assert picture.pixels.flags.c_contiguous
        assert picture.pixels.flags.writeable
    except ImageError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < ROOM + 4 * len(data)


@settings(max_examples=700, deadline=None)
@given(st.sampled_from(FILES), changes())
def test_a_damaged_file_gives_a_picture_or_an_image_error(data: bytes, damage: list[Change]) -> None:
    decode_and_listen(changed(data, damage))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.floats(0, 1))
def test_a_file_cut_anywhere_gives_a_picture_or_an_image_error(data: bytes, part: float) -> None:
    decode_and_listen(data[: int(part * len(data))])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([data[:length] for data in FILES for length in (4, 12, 30)]), st.binary(max_size=200))
@example(b"\xff\xd8\xff", b"\xe0\xff\xff")
@example(b"GIF89a", b"\xff" * 200)
@example(b"II*\0", b"\xff" * 200)
@example(b"II+\0\x08\0\0\0", b"\xff" * 200)
@example(b"RIFF", b"\xff\xff\xff\xffWEBPVP8X")
@example(b"BM", b"\0" * 12 + b"\x28\0\0\0" + b"\x80" * 60)
def test_a_file_of_a_known_beginning_and_anything_gives_an_image_error(head: bytes, rest: bytes) -> None:
    decode_and_listen(head + rest)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.sampled_from([0, 2, 3, 4, 6]), st.booleans())
def test_a_png_of_sound_chunks_and_any_pixels_is_fine(body: bytes, colour: int, compressed: bool) -> None:
    header = struct.pack(">IIBBBBB", 20, 20, 8, colour, 0, 0, 0)
    data = zlib.compress(body) if compressed else body
    chunks = [(b"IHDR", header), (b"PLTE", body[:9]), (b"tRNS", body[:6]), (b"IDAT", data), (b"IEND", b"")]

    decode_and_listen(b"\x89PNG\r\n\x1a\n" + b"".join(samples.chunk(*chunk) for chunk in chunks))


@pytest.mark.parametrize("data", FILES)
def test_a_damaged_file_makes_no_warning(data: bytes) -> None:
    step = 40 if b"acsp" in data else 5  # a profile for inks takes 20 ms to prepare
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for at in range(4, min(len(data), 400), step):
            for filling in (b"\0", b"\xff", b"\x01\x01\x01\x01"):
                decode_and_forget(data[:at] + filling + data[at + len(filling) :])

    assert [str(warning.message) for warning in heard] == []


def decode_and_forget(data: bytes) -> None:
    try:
        decode(data, LIMITS)
    except ImageError:
        return
