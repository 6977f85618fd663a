"""Every row of the contract's input policy that ends in a picture."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from hrformer.images.decode import FORMATS, Limits, decode, read_header
from tests.images import samples
from tests.images.samples import encoded, grey, photo, png, see_through, tiff

RGB = np.asarray(photo())
HEIGHT, WIDTH = RGB.shape[:2]


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """By the formula, in floating point."""
    opacity = alpha.astype(float)[..., None] / 255
    return colours * opacity + 255 * (1 - opacity)


def three(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[:, :, None], 3, axis=2)


def wide(channels: int) -> np.ndarray:
    """Samples of 16 bits whose high byte is the photograph and whose low byte is noise."""
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, channels))
    colours = np.dstack([RGB, see_through().getchannel("A")])
    return (colours[:, :, [0, 3] if channels == 2 else list(range(channels))].astype(int) << 8) | noise


GREY, ALPHA = np.asarray(grey()), np.asarray(see_through().getchannel("A"))
INKS = np.dstack([255 - RGB, np.full((HEIGHT, WIDTH), 60, np.uint8)])
PALETTED = photo().quantize(16)
PALETTE_RGB = np.asarray(PALETTED.convert("RGB"))
INDICES = np.asarray(PALETTED)
COLOURS = np.array(PALETTED.getpalette("RGB")[:48], np.uint8).reshape(16, 3)
# The K of CMYK darkens the rest, as in Pillow's plain formula.
PLAIN_RGB = (255 - INKS[:, :, :3].astype(int)) * (255 - INKS[:, :, 3:].astype(int)) / 255
TIFF_RGB = {256: (WIDTH,), 257: (HEIGHT,), 258: (8, 8, 8), 262: (2,), 277: (3,)}


def plain(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    return encoded(image or photo(), kind, **options)


WHOLE = {
    "BMP": (plain("BMP"), RGB, 0),
    "BMP, run lengths of 8 bits": (samples.run_length_bmp(INDICES, COLOURS), PALETTE_RGB, 0),
    "BMP, run lengths of 4 bits": (samples.run_length_bmp(INDICES, COLOURS, four_bits=True), PALETTE_RGB, 0),
    "BMP with the oldest header": (samples.oldest_bmp(RGB), RGB, 0),
    "GIF": (plain("GIF", PALETTED), PALETTE_RGB, 0),
    "GIF without a palette": (
        samples.gif_without_palette(plain("GIF", grey(), optimize=False)),
        three(GREY),
        0,
    ),
    "GIF, interlaced": (plain("GIF", PALETTED, interlace=1), PALETTE_RGB, 0),
    "PNG": (plain("PNG"), RGB, 0),
    "PNG, interlaced": (png(RGB, 2, 8, passes=samples.ADAM7), RGB, 0),
    "TIFF": (plain("TIFF"), RGB, 0),
    "TIFF, big": (plain("TIFF", big_tiff=True), RGB, 0),
    "TIFF, LZW": (plain("TIFF", compression="tiff_lzw"), RGB, 0),
    "TIFF, Deflate": (plain("TIFF", compression="tiff_adobe_deflate"), RGB, 0),
    "TIFF, PackBits": (plain("TIFF", compression="packbits"), RGB, 0),
    "TIFF, Zstandard": (plain("TIFF", compression="zstd"), RGB, 0),
    "TIFF, planes": (tiff(TIFF_RGB | {284: (2,)}, [RGB[:, :, c].tobytes() for c in range(3)]), RGB, 0),
    "WebP, lossless": (plain("WEBP", lossless=True), RGB, 0),
}
CONVERTED = {
    "grey PNG": (plain("PNG", grey()), three(GREY), 0),
    "grey PNG of 2 bits": (png(GREY[:, :, None] >> 6, 0, 2), three((GREY >> 6) * 85), 0),
    "grey PNG of 4 bits": (png(GREY[:, :, None] >> 4, 0, 4), three((GREY >> 4) * 17), 0),
    "grey JPEG": (plain("JPEG", grey(), quality=100), three(GREY), 3),
    "grey TIFF, white is zero": (
        tiff(TIFF_RGB | {258: (8,), 262: (0,), 277: (1,)}, [(255 - GREY).tobytes()]),
        three(GREY),
        0,
    ),
    "palette PNG": (plain("PNG", PALETTED), PALETTE_RGB, 0),
    "palette BMP": (plain("BMP", PALETTED), PALETTE_RGB, 0),
    "palette TIFF": (plain("TIFF", PALETTED), PALETTE_RGB, 0),
    "1-bit PNG": (plain("PNG", grey().convert("1")), np.asarray(grey().convert("1").convert("RGB")), 0),
    "1-bit TIFF": (plain("TIFF", grey().convert("1")), np.asarray(grey().convert("1").convert("RGB")), 0),
    "1-bit BMP": (plain("BMP", grey().convert("1")), np.asarray(grey().convert("1").convert("RGB")), 0),
    "16-bit grey PNG": (png(wide(1), 0, 16), three(RGB[:, :, 0]), 0),
    "16-bit RGB PNG": (png(wide(3), 2, 16), RGB, 0),
    "16-bit grey TIFF": (
        plain("TIFF", Image.fromarray(wide(1)[:, :, 0].astype("<u2"))),
        three(RGB[:, :, 0]),
        0,
    ),
    "16-bit grey TIFF, LZW": (
        plain("TIFF", Image.fromarray(wide(1)[:, :, 0].astype("<u2")), compression="tiff_lzw"),
        three(RGB[:, :, 0]),
        0,
    ),
    "16-bit grey TIFF, big-endian": (
        tiff(TIFF_RGB | {258: (16,), 262: (1,), 277: (1,)}, [wide(1).astype(">u2").tobytes()], order=">"),
        three(RGB[:, :, 0]),
        0,
    ),
    "16-bit grey TIFF, white is zero": (
        tiff(TIFF_RGB | {258: (16,), 262: (0,), 277: (1,)}, [(65535 - wide(1)).astype("<u2").tobytes()]),
        three(RGB[:, :, 0]),
        0,
    ),
    "16-bit RGB TIFF": (tiff(TIFF_RGB | {258: (16,) * 3}, [wide(3).astype("<u2").tobytes()]), RGB, 0),
    "16-bit RGB TIFF, big-endian": (
        tiff(TIFF_RGB | {258: (16,) * 3}, [wide(3).astype(">u2").tobytes()], order=">"),
        RGB,
        0,
    ),
    "16-bit RGB TIFF, planes": (
        tiff(
            TIFF_RGB | {258: (16,) * 3, 284: (2,)},
            [wide(3)[:, :, c].astype("<u2").tobytes() for c in range(3)],
        ),
        RGB,
        0,
    ),
    "CMYK JPEG": (
        plain(
            "JPEG",
            Image.frombuffer("CMYK", (WIDTH, HEIGHT), INKS.tobytes(), "raw", "CMYK", 0, 1),
            quality=100,
        ),
        PLAIN_RGB,
        6,  # JPEG's loss in four inks
    ),
    "YCCK JPEG": (samples.ycck(INKS), PLAIN_RGB, 6),
    "CMYK TIFF": (tiff(TIFF_RGB | {258: (8,) * 4, 262: (5,), 277: (4,)}, [INKS.tobytes()]), PLAIN_RGB, 1),
    "LAB TIFF": (plain("TIFF", samples.lab()), RGB, 8),  # 8 bits of a and b are coarse in saturated colours
    "YCbCr TIFF": (plain("TIFF", photo().convert("YCbCr")), RGB, 4),  # two roundings to 8 bits
    "grey JPEG in TIFF": (plain("TIFF", grey(), compression="jpeg", quality=100), three(GREY), 3),
    "grey JPEG in TIFF, white is zero": (
        tiff(
            TIFF_RGB | {258: (8,), 259: (7,), 262: (0,), 277: (1,)},
            [plain("JPEG", Image.fromarray(255 - GREY), quality=100)],
        ),
        three(GREY),
        3,
    ),
    "RGB JPEG in TIFF": (plain("TIFF", compression="jpeg", quality=100), RGB, 6),
    "CMYK JPEG in TIFF": (
        plain(
            "TIFF",
            Image.frombuffer("CMYK", (WIDTH, HEIGHT), INKS.tobytes(), "raw", "CMYK", 0, 1),
            compression="jpeg",
            quality=100,
        ),
        PLAIN_RGB,
        6,
    ),
    "YCbCr JPEG in TIFF": (
        plain("TIFF", photo().convert("YCbCr"), compression="jpeg", quality=100),
        RGB,
        80,  # colours at half resolution
    ),
}
TRANSPARENT = {
    "RGBA PNG": (plain("PNG", see_through()), over_white(RGB, ALPHA), 1),
    "RGBA WebP": (plain("WEBP", see_through(), lossless=True, exact=True), over_white(RGB, ALPHA), 1),
    "RGBA TIFF": (plain("TIFF", see_through()), over_white(RGB, ALPHA), 1),
    "RGBA PNG of 16 bits": (png(wide(4), 6, 16), over_white(RGB, ALPHA), 1),
    "LA PNG": (
        plain("PNG", Image.merge("LA", [grey(), see_through().getchannel("A")])),
        over_white(three(GREY), ALPHA),
        1,
    ),
    "LA PNG of 16 bits": (png(wide(2), 4, 16), over_white(three(RGB[:, :, 0]), ALPHA), 1),
    "premultiplied RGBA TIFF": (
        tiff(
            TIFF_RGB | {258: (8,) * 4, 277: (4,), 338: (1,)},
            [np.dstack([np.rint(RGB * (ALPHA[..., None] / 255)), ALPHA]).astype(np.uint8).tobytes()],
        ),
        over_white(RGB, ALPHA),
        2,  # rounded once more when it was multiplied
    ),
    "premultiplied LA TIFF": (
        tiff(
            TIFF_RGB | {258: (8,) * 2, 262: (1,), 277: (2,), 338: (1,)},
            [np.dstack([np.rint(GREY * (ALPHA / 255)), ALPHA]).astype(np.uint8).tobytes()],
        ),
        over_white(three(GREY), ALPHA),
        2,
    ),
    "palette PNG with an alpha for each colour": (
        plain("PNG", PALETTED, transparency=bytes(range(0, 256, 16))),
        over_white(PALETTE_RGB, np.arange(0, 256, 16)[INDICES]),
        1,
    ),
    "palette PNG with one clear colour": (
        plain("PNG", PALETTED, transparency=5),
        np.where((INDICES == 5)[..., None], 255, PALETTE_RGB),
        0,
    ),
    "GIF with a clear colour": (
        plain("GIF", PALETTED, transparency=5),
        np.where((INDICES == 5)[..., None], 255, PALETTE_RGB),
        0,
    ),
    "RGB PNG with a clear colour": (
        png(RGB, 2, 8, samples.chunk(b"tRNS", RGB[20, 30].astype(">u2").tobytes())),
        np.where((RGB[20, 30] == RGB).all(axis=2, keepdims=True), 255, RGB),
        0,
    ),
    "grey PNG of 4 bits with a clear value": (
        png(GREY[:, :, None] >> 4, 0, 4, samples.chunk(b"tRNS", struct.pack(">H", 7))),
        three(np.where(GREY >> 4 == 7, 255, (GREY >> 4) * 17)),
        0,
    ),
    "16-bit RGB PNG with a clear colour, exact in all bits": (
        png(wide(3), 2, 16, samples.chunk(b"tRNS", wide(3)[20, 30].astype(">u2").tobytes())),
        np.where((wide(3) == wide(3)[20, 30]).all(axis=2, keepdims=True), 255, RGB),
        0,
    ),
}
ROWS = WHOLE | CONVERTED | TRANSPARENT


@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_picture_becomes_8_bit_rgb(row: str) -> None:
    data, expected, tolerance = ROWS[row]

    pixels = decode(data).pixels

    assert (pixels.dtype, pixels.shape) == (np.uint8, RGB.shape)
    assert np.abs(pixels - np.asarray(expected, float)).max() <= tolerance


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"subsampling": 0}]
)
def test_a_jpeg_is_decoded_as_pillow_decodes_it(options: dict[str, object]) -> None:
    data = encoded(photo(), "JPEG", **options)

    pixels = decode(data).pixels

    # Both are libjpeg-turbo, perhaps of different versions.
    assert np.abs(pixels.astype(int) - np.asarray(Image.open(samples.io.BytesIO(data)))).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = samples.with_orientation(orientation)
    data = encoded(photo(), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    limits = Limits(formats=(*FORMATS, "AVIF"))

    picture, header = decode(data, limits), read_header(data, limits)

    upright = ImageOps.exif_transpose(Image.open(samples.io.BytesIO(data))).convert("RGB")
    assert upright.size == (picture.width, picture.height)
    assert (header.width, header.height, header.orientation) == (*upright.size, orientation)
    assert np.abs(picture.pixels.astype(int) - np.asarray(upright)).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_of_an_animation_or_several_pages_the_first_is_taken(kind: str) -> None:
    first, second = photo().quantize(32), photo().transpose(Image.Transpose.ROTATE_180).quantize(32)
    if kind != "GIF":
        first, second = first.convert("RGB"), second.convert("RGB")
    options = {"lossless": True} if kind == "WEBP" else {}

    picture = decode(encoded(first, kind, save_all=True, append_images=[second], **options))

    assert (picture.pixels == np.asarray(first.convert("RGB"))).all()


FOLLOWED = {row: ROWS[row][0] for row in [*WHOLE, "CMYK JPEG"]}
FOLLOWED |= {"JPEG": plain("JPEG"), "progressive JPEG": plain("JPEG", progressive=True)}


@pytest.mark.parametrize("row", FOLLOWED)
def test_bytes_after_a_whole_image_are_accepted(row: str) -> None:
    data = FOLLOWED[row]

    assert (decode(data + b"\0\xff\xda\xff\xd9 and so on" * 150).pixels == decode(data).pixels).all()
