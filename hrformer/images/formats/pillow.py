"""Pillow, held to one named decoder, with its errors turned into ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import BmpImagePlugin, GifImagePlugin, Image, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from hrformer.images.errors import ImageError
from hrformer.images.formats.layout import broken_pixels

# Importing a plugin registers it; the others, which Pillow would load at the first unknown name, are not wanted.
READERS = (BmpImagePlugin, GifImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)


@contextmanager
def opened(name: str, data: bytes) -> Iterator[Image.Image]:
    """The picture read by Pillow's decoder `name` and no other; closed on the way out.

    raises: BrokenImage for whatever Pillow says in the block.
    """
    try:
        with Image.open(BytesIO(data), formats=(name,)) as image:
            yield image
    except ImageError:
        raise
    except (
        Exception
    ):  # Pillow names no list: SyntaxError, KeyError, struct.error and zlib.error all come on bad bytes
        raise broken_pixels(name) from None
