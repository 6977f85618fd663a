"""PNG: depths, palettes and the two kinds of transparency; Pillow unfolds the rows."""

import numpy as np
from PIL import Image

from hrformer.images.colour import blend_over_white, rgb_from_indices, rgb_pixels, strips
from hrformer.images.formats.exif import exif_orientation
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels
from hrformer.images.formats.pillow import load
from hrformer.images.formats.png_chunks import GREY, PALETTE, RGB, Png, check_chunks, has_all_rows, read_png


def layout(data: bytes) -> Layout:
    """Size and EXIF orientation of a PNG.

    raises: BrokenImage, UnsupportedFormat.
    """
    png = read_png(data)
    return Layout(png.width, png.height, exif_orientation(png.first(b"eXIf")))


def pixels(data: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB over white; the default image of an animation.

    raises: BrokenImage if a checksum is wrong, or the end or some of the pixels are missing.
    """
    png = read_png(data)
    check_chunks(png)
    if png.colour == PALETTE:
        return rgb_from_indices(_load(png), _colours(png))
    if png.colour in (GREY, RGB) and png.first(b"tRNS"):
        return _with_transparent_colour(png, png.first(b"tRNS"))
    return rgb_pixels(_load(png))


def _load(png: Png, rawmode: str = "") -> Image.Image:
    image = load("PNG", png.alone(), rawmode=rawmode)
    # Pillow takes a stream that ends early for a whole one, and leaves the rows that did not come at zero.
    last_row = np.asarray(image.crop((0, png.height - 1, png.width, png.height)))
    if (png.interlaced or not last_row.any()) and not has_all_rows(png):
        raise broken_pixels("PNG")
    return image


def _colours(png: Png) -> np.ndarray:
    """`(256, 3)` uint8: the palette over white, black where it has no entry."""
    table = np.zeros((256, 3), np.uint8)
    entries = np.frombuffer(png.first(b"PLTE")[:768], np.uint8)
    table[: len(entries) // 3] = entries[: len(entries) // 3 * 3].reshape(-1, 3)
    alpha = np.full(256, 255, np.uint8)
    opacities = np.frombuffer(png.first(b"tRNS")[:256], np.uint8)
    alpha[: len(opacities)] = opacities
    return blend_over_white(table, alpha)


def _with_transparent_colour(png: Png, transparent: bytes) -> np.ndarray:
    """The picture with every pixel of exactly one colour made white."""
    if len(transparent) != (2 if png.colour == GREY else 6):
        raise broken_header("PNG", "the transparent colour has the wrong length")
    samples = _samples(png)
    colour = np.frombuffer(transparent, ">u2").astype(np.uint16) & ((1 << png.depth) - 1)
    if png.depth < 8:
        colour = colour * (255 // ((1 << png.depth) - 1))
    rgb = np.empty((png.height, png.width, 3), np.uint8)
    rgb[:] = samples if png.depth <= 8 else samples >> 8
    for rows in strips(png.height, png.width):
        rgb[rows][(samples[rows] == colour).all(axis=2)] = 255
    return rgb


def _samples(png: Png) -> np.ndarray:
    """`(height, width, 1 or 3)`: uint8 up to 8 bits, else uint16."""
    image = _load(png)
    samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    if png.colour == GREY:
        return samples[:, :, None]
    if png.depth == 8:
        return samples
    # Pillow keeps one byte of sixteen bits: the high one as big-endian, the low one read as if little-endian.
    low = np.asarray(_load(png, rawmode="RGB;16L"))
    high = samples.astype(np.uint16) << 8
    return np.asarray(high | low)
