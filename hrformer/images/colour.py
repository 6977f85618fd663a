"""Every pixel mode Pillow knows → 8-bit RGB.

Transparency is laid over white; of 16 bits the high byte is kept; an embedded profile counts for inks alone.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_STRIP_PIXELS = 1 << 20  # converted at a time: what lies between two whole pictures stays small
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")

Convert = Callable[[Image.Image], Image.Image]


def rgb_pixels(image: Image.Image, profile: bytes = b"") -> np.ndarray:
    """`(height, width, 3)` uint8 RGB of a picture in any of Pillow's modes.

    profile: ICC bytes for CMYK; by default those the image carries. One that is damaged or of another colour
        space is passed over.
    raises: ValueError for 32-bit integers and floats, whose range nobody knows.
    """
    convert = _conversion(image.mode, profile or image.info.get("icc_profile") or b"")
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in strips(image.height, image.width):
        pixels[rows] = np.asarray(convert(image.crop((0, rows.start, image.width, rows.stop))))
    return pixels


def rgb_from_indices(indices: Image.Image, table: np.ndarray) -> np.ndarray:
    """`(height, width, 3)` uint8: the colour of each pixel's index.

    indices: 8 bits, modes L or P, whose own palette goes.
    table: `(256, 3)` uint8.
    """
    indices.putpalette(table.tobytes())
    return rgb_pixels(indices)


def rgb_from_inks(inks: np.ndarray, profile: bytes = b"") -> np.ndarray:
    """`(height, width, 4)` uint8 CMYK, 255 for full ink → `(height, width, 3)` uint8 RGB."""
    height, width = inks.shape[:2]
    convert = _conversion("CMYK", profile)
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in strips(height, width):
        size = (width, rows.stop - rows.start)
        pixels[rows] = np.asarray(
            convert(Image.frombuffer("CMYK", size, inks[rows].tobytes(), "raw", "CMYK", 0, 1))
        )
    return pixels


def strips(height: int, width: int) -> list[slice]:
    """The rows of a picture in strips of about a million pixels, top to bottom."""
    step = max(1, _STRIP_PIXELS // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def blend_over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`(n, 3)` uint8 colours under `(n,)` uint8 alpha, over white, rounded to the nearest."""
    opacity = alpha[:, None].astype(np.uint32)
    return ((colours * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _conversion(mode: str, profile: bytes) -> Convert:
    if mode in _SIXTEEN_BITS:
        return _high_byte
    if mode in ("I", "F"):
        raise ValueError(
            f"pixels of mode {mode} have no fixed range; expected 8 or 16 bits; scale them to 8 bits"
        )
    if mode == "CMYK":
        return _profile_conversion(profile) or _plain
    if mode == "LAB":
        return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")
    return _over_white


def _high_byte(image: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    premultiplied = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    layer = (image.convert(premultiplied) if premultiplied else image).convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layer, mask=layer)
    return white


def _profile_conversion(profile: bytes) -> Convert | None:
    if not profile:
        return None
    try:
        return _transform(ImageCms.ImageCmsProfile(BytesIO(profile)), "CMYK")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> Convert:
    """Conversion from `mode` under a profile to sRGB, perceptual intent."""
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB").apply
