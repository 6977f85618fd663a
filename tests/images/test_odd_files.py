"""Files that are odd and whole: unusual canvases, tables, padding."""

import struct

import numpy as np

from hrformer.images.decode import decode
from tests.images.samples import encoded, photo, tiff

RGB = np.asarray(photo())
HEIGHT, WIDTH = RGB.shape[:2]
PALETTED = photo().quantize(16)
PALETTE_RGB = np.asarray(PALETTED.convert("RGB"))
TIFF_RGB = {256: (WIDTH,), 257: (HEIGHT,), 258: (8, 8, 8), 262: (2,), 277: (3,)}


def test_a_gif_frame_is_shown_on_its_canvas() -> None:
    frame = encoded(PALETTED, "GIF")
    larger = frame[:6] + struct.pack("<HH", WIDTH + 40, HEIGHT + 30) + frame[10:]
    at = larger.index(b",\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT)) + 1
    data = larger[:at] + struct.pack("<HH", 25, 10) + larger[at + 4 :]

    pixels = decode(data).pixels

    expected = np.full((HEIGHT + 30, WIDTH + 40, 3), 255)
    expected[10 : 10 + HEIGHT, 25 : 25 + WIDTH] = PALETTE_RGB
    assert (pixels == expected).all()


def test_a_gif_frame_larger_than_its_canvas_makes_the_canvas_larger() -> None:
    frame = encoded(PALETTED, "GIF")

    assert (decode(frame[:6] + struct.pack("<HH", 20, 20) + frame[10:]).pixels == PALETTE_RGB).all()


def test_a_bitmap_whose_alpha_is_zero_throughout_is_opaque() -> None:
    clear = photo().convert("RGBA")
    clear.putalpha(0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, WIDTH, -HEIGHT, 1, 32, 3, 0, 0, 0, 0, 0) + masks + b"\0" * 52
    body = clear.tobytes("raw", "BGRA")
    head = b"BM" + struct.pack("<IHHI", 14 + len(info) + len(body), 0, 0, 14 + len(info))

    assert (decode(head + info + body).pixels == RGB).all()


def test_zeros_before_the_end_of_a_jpeg_do_no_harm() -> None:
    data = encoded(photo(), "JPEG")

    assert (decode(data[:-2] + b"\0" * 37 + data[-2:]).pixels == decode(data).pixels).all()


def test_odd_metadata_of_a_jpeg_does_no_harm() -> None:
    data = encoded(photo(), "JPEG")
    odd_version = data.replace(b"JFIF\0\1\1", b"JFIF\0\7\1", 1)

    assert (decode(odd_version).pixels == decode(data).pixels).all()


def test_a_colour_table_of_8_bit_values_in_a_tiff_is_read_as_meant() -> None:
    tags = TIFF_RGB | {258: (8,), 262: (3,), 277: (1,)}
    table = np.zeros((3, 256), int)
    table[:, :16] = np.reshape(PALETTED.getpalette("RGB")[:48], (16, 3)).T

    pixels = decode(tiff(tags | {320: tuple(table.ravel().tolist())}, [PALETTED.tobytes()])).pixels

    assert (pixels == PALETTE_RGB).all()


def test_tiles_are_put_together() -> None:
    tall, across = -(-HEIGHT // 16), -(-WIDTH // 32)
    page = np.zeros((tall * 16, across * 32, 3), np.uint8)
    page[:HEIGHT, :WIDTH] = RGB
    tiles = [
        page[y : y + 16, x : x + 32].tobytes()
        for y in range(0, tall * 16, 16)
        for x in range(0, across * 32, 32)
    ]
    data = tiff(TIFF_RGB | {322: (32,), 323: (16,)}, tiles)
    as_tiles = data.replace(struct.pack("<HH", 273, 4), struct.pack("<HH", 324, 4)).replace(
        struct.pack("<HH", 279, 4), struct.pack("<HH", 325, 4)
    )

    assert (decode(as_tiles).pixels == RGB).all()
