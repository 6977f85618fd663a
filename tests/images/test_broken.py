"""A picture that is not whole is no picture: no grey halves."""

import struct
import warnings
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from hrformer.images.decode import Limits, decode
from hrformer.images.errors import BrokenImage, ImageError
from tests.images import samples
from tests.images.samples import encoded, grey, photo, see_through

INKS = photo().convert("CMYK")
FILES = {
    "JPEG": encoded(photo(), "JPEG"),
    "progressive JPEG": encoded(photo(), "JPEG", progressive=True),
    "grey JPEG": encoded(grey(), "JPEG"),
    "CMYK JPEG": encoded(INKS, "JPEG"),
    "PNG": encoded(photo(), "PNG"),
    "palette PNG": encoded(photo().quantize(64), "PNG", transparency=bytes(range(64))),
    "16-bit PNG": encoded(Image.fromarray(np.asarray(grey()).astype("<u2") * 257), "PNG"),
    "WebP": encoded(photo(), "WEBP"),
    "lossless WebP": encoded(see_through(), "WEBP", lossless=True),
    "BMP": encoded(photo(76, 58), "BMP"),
    "run-length BMP": samples.run_length_bmp(np.asarray(grey()) >> 4, np.zeros((16, 3), np.uint8)),
    "GIF": encoded(photo().quantize(64), "GIF"),
    "TIFF": encoded(photo(), "TIFF"),
    "TIFF with LZW": encoded(photo(), "TIFF", compression="tiff_lzw"),
    "TIFF with Deflate": encoded(photo(), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF with JPEG": encoded(photo(), "TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.9, 0.98])
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_broken(name: str, part: float) -> None:
    with pytest.raises(BrokenImage):
        decode(FILES[name][: int(len(FILES[name]) * part)])


@pytest.mark.parametrize("missing_bytes", [1, 2, 5, 40, 300])
@pytest.mark.parametrize("name", [name for name in FILES if name not in ("GIF", "run-length BMP")])
def test_a_file_that_lacks_its_last_bytes_is_broken(name: str, missing_bytes: int) -> None:
    with pytest.raises(BrokenImage):
        decode(FILES[name][:-missing_bytes])


def holed(data: bytes, at: float, length: int, filling: bytes = b"") -> bytes:
    start = int(len(data) * at)
    return data[:start] + filling + data[start + length :]


@pytest.mark.parametrize("shrink", [1, 8])
@pytest.mark.parametrize(
    "data",
    [
        holed(FILES["JPEG"], 0.8, 60),
        holed(FILES["JPEG"], 0.8, 2, b"\xff\xd9"),
        holed(FILES["JPEG"], 0.8, 2, b"\xff\xd3"),
        holed(FILES["progressive JPEG"], 0.8, 60),
        holed(FILES["progressive JPEG"], 0.8, 2, b"\xff\xd9"),
        holed(FILES["CMYK JPEG"], 0.8, 60),
        FILES["JPEG"][:-300] + b"\xff\xd9",
    ],
    ids=["hole", "early end", "stray restart", "progressive hole", "progressive end", "inks", "patched end"],
)
def test_a_jpeg_that_other_readers_would_show_half_grey_is_broken(data: bytes, shrink: int) -> None:
    Image.open(samples.io.BytesIO(data)).load()  # Pillow shows what it has

    with pytest.raises(BrokenImage):
        decode(data, shrink=shrink)


@pytest.mark.parametrize("name", ["PNG", "palette PNG", "16-bit PNG"])
def test_a_flipped_bit_anywhere_in_what_makes_a_png_is_noticed(name: str) -> None:
    data = FILES[name]

    for at in range(8, len(data), max(1, len(data) // 150)):
        with pytest.raises(ImageError):
            decode(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


@pytest.mark.parametrize("passes", [samples.WHOLE, samples.ADAM7], ids=["plain", "interlaced"])
def test_a_png_whose_rows_end_early_is_broken_even_if_its_checksums_are_right(passes: samples.Passes) -> None:
    size = struct.pack(">IIBBBBB", 75, 58, 8, 2, 0, 0, len(passes) > 1)
    short = samples.png(np.asarray(photo())[:40], 2, 8, passes=passes)

    with pytest.raises(BrokenImage):
        decode(short[:8] + samples.chunk(b"IHDR", size) + short[33:])


def test_a_png_that_is_black_at_the_bottom_is_whole() -> None:
    rows = np.asarray(photo()).copy()
    rows[30:] = 0

    assert (decode(samples.png(rows, 2, 8)).pixels == rows).all()


def test_a_gif_whose_codes_end_early_is_broken() -> None:
    data = FILES["GIF"]
    start = data.index(b",\0\0\0\0") + 11  # the first block of codes, with its length before it

    with pytest.raises(BrokenImage):
        decode(data[: start + 1 + data[start]] + b"\0;")


@pytest.mark.parametrize("name", ["TIFF with LZW", "TIFF with Deflate", "WebP", "PNG"])
def test_nothing_of_a_library_reaches_standard_error(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for at in np.linspace(0.1, 0.9, 30):
            try_to_decode(holed(FILES[name], at, 12, b"\xa7" * 12))

    written = capfd.readouterr()
    assert (written.out, written.err, heard) == ("", "", [])


def try_to_decode(data: bytes) -> None:
    with suppress(ImageError):
        decode(data, Limits())
