"""Pillow, held to one named decoder, with its errors turned into ours."""

import math
import re
from io import BytesIO
from itertools import islice

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from hrformer.images.errors import ImageError
from hrformer.images.formats.layout import Layout, broken_header, broken_pixels

# Importing a plugin registers it. Pillow would load all forty at the first name it does not know.
READERS = (BmpImagePlugin, GifImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
_ORIENTATION = 0x0112
_MAX_SIZES = 4096


def load(name: str, data: bytes, *, rawmode: str = "", refused: ImageError | None = None) -> Image.Image:
    """The first picture in `data`, decoded by Pillow's reader `name` and no other.

    rawmode: how the samples lie in the file, where that is to differ from what the header says.
    refused: the error to raise if Pillow does not take the header.
    raises: BrokenImage for whatever Pillow says of the pixels.
    """
    image = _open(name, data, refused or broken_header(name, "it makes no sense"))
    try:
        with image:
            if rawmode:
                image.tile = [tile._replace(args=rawmode) for tile in image.tile]
            image.load()
            return image
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  Pillow names no list; SyntaxError and KeyError come too
        raise broken_pixels(name) from None


def layout(name: str, data: bytes) -> Layout:
    """Size and orientation as Pillow's reader sees them, for formats without a reader of ours (AVIF, HEIF).

    Where the largest size the file mentions is past Pillow's guard, that size: Pillow never sees the file.
    """
    width, height = max(_mentioned_sizes(data), key=math.prod, default=(0, 0))
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
        return Layout(width, height)
    with _open(name, data, broken_header(name, "it makes no sense")) as image:
        return Layout(image.width, image.height, image.getexif().get(_ORIENTATION, 1))


def _mentioned_sizes(data: bytes) -> list[tuple[int, int]]:
    """Width and height in every `ispe` property (ISO/IEC 23008-12, section 6.5.3)."""
    boxes = islice(re.finditer(rb"ispe\0\0\0\0(.{4})(.{4})", data, re.DOTALL), _MAX_SIZES)
    return [(int.from_bytes(box[1], "big"), int.from_bytes(box[2], "big")) for box in boxes]


def _open(name: str, data: bytes, refused: ImageError) -> ImageFile.ImageFile:
    try:
        return Image.open(BytesIO(data), formats=(name,))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  as above
        raise refused from None
