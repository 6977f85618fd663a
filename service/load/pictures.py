"""Files to send: photographs from a folder, or pictures made here that JPEG finds as hard as those."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Size = tuple[int, int]  # width, height in pixels

SIZES: tuple[Size, ...] = ((320, 240), (640, 480), (1024, 768))  # of the pictures made here
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
MAX_PHOTOS = 200  # taken of a folder, since all of them are held in memory
QUALITY = 85  # of JPEG


class NoPhotos(ValueError):
    """A folder that has no photograph to send."""


def photographs(folder: Path, sizes: Sequence[Size], chance: random.Random) -> list[bytes]:
    """The files of a folder and those below it as they are, or cut and scaled to each size, as JPEG.

    Of more than `MAX_PHOTOS`, so many are drawn. raises: NoPhotos, OSError.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise NoPhotos(f"{folder} has no pictures; expected files like photo.jpg")
    chosen = chance.sample(files, min(MAX_PHOTOS, len(files)))
    if not sizes:
        return [file.read_bytes() for file in chosen]
    return [resized(file, size) for file in chosen for size in sizes]


def made_pictures(sizes: Sequence[Size], chance: random.Random) -> list[bytes]:
    """A JPEG of each size: slopes and waves of light, edges, and the grain of a sensor."""
    return [_jpeg(Image.fromarray(_scene(*size, chance))) for size in sizes or SIZES]


def _scene(width: int, height: int, chance: random.Random) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    random_numbers = np.random.default_rng(chance.randrange(1 << 32))
    y, x = np.mgrid[:height, :width] / max(width, height)
    light = np.zeros((height, width, 3))
    for _ in range(12):
        along, across, phase = (*random_numbers.normal(0, 12, 2), chance.uniform(0, 6))
        wave = np.sin(along * x + across * y + phase)[..., None]
        light += random_numbers.normal(0, 12, 3) * (wave if chance.random() < 0.7 else np.sign(wave))
    grain = random_numbers.normal(0, 4, (height, width, 1))
    return np.clip(128 + light + grain, 0, 255).astype(np.uint8)


def resized(file: Path, size: Size) -> bytes:
    """A photograph cut and scaled to this size, as JPEG. raises: NoPhotos."""
    try:
        with Image.open(file) as image:
            return _jpeg(ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), size))
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise NoPhotos(f"{file} cannot be read as a picture; take it away, or give no size") from error


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
