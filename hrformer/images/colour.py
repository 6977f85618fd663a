"""Every pixel mode Pillow knows → 8-bit RGB: transparency over white, 16 bits by their high byte, inks by their profile."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_ROWS = 256


def rgb_pixels(image: Image.Image) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB of a picture in any of Pillow's modes.

    Transparency is laid over white. A colour profile counts for CMYK alone. Of 16 bits the high byte is kept.
    raises: ValueError for modes without a known range (32-bit integers and floats).
    """
    if image.mode in _SIXTEEN_BITS:
        return grey_pixels((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no fixed range; scale the values to 8 bits first")
    if image.mode == "CMYK":
        return rgb_from_cmyk(image, image.info.get("icc_profile", b""))
    if image.mode == "LAB":
        return rgb_from_lab(image)
    return array(_over_white(image) if image.has_transparency_data else image.convert("RGB"))


def grey_pixels(grey: np.ndarray) -> np.ndarray:
    """`(height, width)` uint8 → `(height, width, 3)`."""
    return np.repeat(grey[:, :, None], 3, axis=2)


def array(image: Image.Image) -> np.ndarray:
    """`(height, width, 3)` uint8 of an RGB image, writable, with one band of rows at a time in between."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _over_white(image: Image.Image) -> Image.Image:
    layered = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layered.convert("RGB"), mask=layered.getchannel("A"))
    return white


def rgb_from_cmyk(image: Image.Image, profile: bytes) -> np.ndarray:
    """Inks → sRGB by the embedded profile; by the plain formula where there is none or it is for something else."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            return array(_converted(image, source, "CMYK"))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return array(image.convert("RGB"))


def rgb_from_lab(image: Image.Image) -> np.ndarray:
    """CIE L*a*b* (D50) → sRGB."""
    return array(_converted(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB"))


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile, mode: str) -> Image.Image:
    target = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(source, target, mode, "RGB")
    return transform.apply(image)
