"""Format and size of a picture from its first bytes, held against limits before anything is decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PIL import Image

from hrformer.images.errors import ImageTooLarge, ImageTooSmall, UnsupportedFormat
from hrformer.images.formats import bmp, gif, jpeg, pillow, png, tiff, webp
from hrformer.images.formats.layout import Layout
from hrformer.images.formats.signature import file_format

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


@dataclass(frozen=True)
class Limits:
    """What a picture may be."""

    max_bytes: int = 20 * 1024 * 1024
    """bytes of the file"""
    max_pixels: int = 50_000_000
    """width times height, as the header says; above Pillow's guard of 89 million it counts for JPEG alone"""
    min_side_px: int = 16
    """the shorter side"""
    formats: tuple[str, ...] = FORMATS
    """names of the formats read; AVIF and HEIF can be added where Pillow has them"""


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded."""

    format: str
    """JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF or HEIF"""
    width: int
    """px, of the upright picture"""
    height: int
    """px, of the upright picture"""
    orientation: int
    """EXIF orientation 1 to 8, already counted into width and height"""


def read_header(data: bytes, limits: Limits) -> Header:
    """Format, upright size and orientation; nothing is decoded, memory does not grow.

    raises: NotAnImage, UnsupportedFormat, BrokenImage, ImageTooLarge, ImageTooSmall.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"the file has {len(data)} bytes; expected at most {limits.max_bytes}; "
            "scale the picture down or compress it"
        )
    name = file_format(data)
    if name not in limits.formats:
        raise UnsupportedFormat(
            f"{name} is not read here; expected one of {', '.join(limits.formats)}; convert the picture"
        )
    layout = _LAYOUTS[name](data)
    turned = layout.orientation >= 5
    width, height = (layout.height, layout.width) if turned else (layout.width, layout.height)
    guard = Image.MAX_IMAGE_PIXELS if name != "JPEG" else None
    _check_size(width, height, limits.min_side_px, min(limits.max_pixels, guard or limits.max_pixels))
    return Header(name, width, height, layout.orientation)


def _check_size(width: int, height: int, min_side_px: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the picture is {width}x{height} px, which makes {width * height} pixels; "
            f"expected at most {max_pixels}; scale it down"
        )
    if min(width, height) < min_side_px:
        raise ImageTooSmall(
            f"the picture is {width}x{height} px; expected at least {min_side_px} px on both sides; "
            "send a larger one"
        )


_LAYOUTS: dict[str, Callable[[bytes], Layout]] = {
    "JPEG": jpeg.layout,
    "PNG": png.layout,
    "WEBP": webp.layout,
    "BMP": bmp.layout,
    "GIF": gif.layout,
    "TIFF": tiff.layout,
    "AVIF": partial(pillow.layout, "AVIF"),
    "HEIF": partial(pillow.layout, "HEIF"),
}
