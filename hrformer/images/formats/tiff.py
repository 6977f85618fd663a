"""TIFF: the first page, decoded by libtiff through Pillow from a directory that holds nothing unchecked."""

import ctypes
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image, _imaging

from hrformer.images import colour
from hrformer.images.errors import UnsupportedFormat
from hrformer.images.formats import tiff_directory as tag
from hrformer.images.formats import tiff_jpeg
from hrformer.images.formats.layout import Layout, broken_header
from hrformer.images.formats.pillow import load
from hrformer.images.formats.tiff_directory import Directory, read_directory, with_directory
from hrformer.images.formats.tiff_pieces import Pieces, read_pieces

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _LUMA, _LAB = 0, 1, 2, 3, 5, 6, 8
_PHOTOMETRICS = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _LUMA, _LAB)
_NONE, _JPEG, _ZSTD = 1, 7, 50000
# LZW, Deflate and PackBits beside them. Not CCITT: libtiff paints over broken lines and calls it a success.
_COMPRESSIONS = (_NONE, 5, _JPEG, 8, 32773, 32946, _ZSTD)
_MAX_SAMPLES = 6
_UNSIGNED, _UNDEFINED = 1, 4  # sample formats
_HORIZONTAL = 2  # predictor
_SHOWN = {tag.WIDTH, tag.HEIGHT, tag.BITS, tag.COMPRESSION, tag.PHOTOMETRIC, tag.FILL_ORDER, tag.SAMPLES}
_SHOWN |= {tag.PLANAR, tag.PREDICTOR, tag.COLOUR_MAP, tag.EXTRA_SAMPLES}
_SHOWN |= {tag.SUBSAMPLING, tag.ROWS_PER_STRIP, tag.TILE_WIDTH, tag.TILE_HEIGHT}


def layout(data: bytes) -> Layout:
    """Size and orientation of the first page.

    raises: BrokenImage; UnsupportedFormat for camera raw, and samples and compressions that are not read.
    """
    directory = read_directory(data)
    width, height = directory.first(tag.WIDTH, 0), directory.first(tag.HEIGHT, 0)
    if min(width, height) == 0:
        raise broken_header("TIFF", "it gives no width or no height")
    _check_kind(directory)
    orientation = directory.first(tag.ORIENTATION, 1)
    return Layout(width, height, orientation if 1 <= orientation <= 8 else 1)


def pixels(data: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB over white, as stored.

    raises: BrokenImage if a strip or tile is missing, cut off or does not decode; UnsupportedFormat.
    """
    directory = read_directory(data)
    pieces = read_pieces(data, directory)
    profile = directory.blobs.get(tag.PROFILE, b"")
    if directory.first(tag.COMPRESSION, _NONE) == _JPEG:
        return tiff_jpeg.pixels(data, directory, pieces, profile)
    if directory.first(tag.PLANAR, 1) == 2 and directory.first(tag.SAMPLES, 1) > 1:
        return colour.rgb_pixels(_from_planes(data, directory, pieces), profile)
    image = _load(data, directory, pieces)
    return colour.rgb_pixels(image, profile)


def _check_kind(directory: Directory) -> None:
    reduced = tag.SUB_DIRECTORIES in directory.numbers and directory.first(tag.SUBFILE_TYPE, 0) & 1
    if reduced or tag.DNG_VERSION in directory.numbers:
        raise UnsupportedFormat("the file is a camera raw picture; develop it and send it as JPEG")
    bits = set(directory.numbers.get(tag.BITS, (1,)))
    sample_formats = set(directory.numbers.get(tag.SAMPLE_FORMAT, (_UNSIGNED,)))
    is_read = (
        len(bits) == 1
        and bits <= {1, 2, 4, 8, 12, 16}
        and sample_formats <= {_UNSIGNED, _UNDEFINED}
        and directory.first(tag.COMPRESSION, _NONE) in _COMPRESSIONS
        and directory.first(tag.PHOTOMETRIC, _WHITE_IS_ZERO) in _PHOTOMETRICS
        and 1 <= directory.first(tag.SAMPLES, 1) <= _MAX_SAMPLES
        and directory.first(tag.PREDICTOR, 1) <= _HORIZONTAL
    )
    if not is_read:
        raise _refused(directory)


def _refused(directory: Directory) -> UnsupportedFormat:
    bits = "+".join(str(bits) for bits in directory.numbers.get(tag.BITS, (1,))[:8])
    samples, sample_format = directory.first(tag.SAMPLES, 1), directory.first(tag.SAMPLE_FORMAT, _UNSIGNED)
    photometric, compression = directory.first(tag.PHOTOMETRIC, 0), directory.first(tag.COMPRESSION, _NONE)
    return UnsupportedFormat(
        f"this kind of TIFF is not read ({samples} samples, bits {bits}, sample format {sample_format}, "
        f"photometric {photometric}, compression {compression}); "
        "expected unsigned samples of up to 16 bits; save the picture as PNG or JPEG"
    )


def _load(data: bytes, directory: Directory, pieces: Pieces) -> Image.Image:
    """The page in one of Pillow's modes, 8 bits a sample."""
    bits, photometric = directory.first(tag.BITS, 1), directory.first(tag.PHOTOMETRIC, 0)
    deep_grey = bits > 8 and directory.first(tag.SAMPLES, 1) == 1
    alone = _alone(directory, pieces, {tag.PHOTOMETRIC: (_BLACK_IS_ZERO,)} if deep_grey else {})
    _quiet_libtiff()
    image = load("TIFF", with_directory(data, alone), refused=_refused(directory))
    if not deep_grey:
        return image
    grey = (np.asarray(image) >> bits - 8).astype(np.uint8)
    return Image.fromarray(255 - grey if photometric == _WHITE_IS_ZERO else grey)


@cache
def _quiet_libtiff() -> None:
    """Keeps libtiff from writing what it finds in broken files to standard error, a line for each.

    Pillow offers no way. The handler is one for the process; nothing but that output depends on it.
    """
    library = ctypes.CDLL(_imaging.__file__)
    if hasattr(library, "TIFFSetErrorHandler"):
        library.TIFFSetErrorHandler(None)


def _alone(directory: Directory, pieces: Pieces, changed: dict[int, tuple[int, ...]]) -> Directory:
    """The directory with the tags that decide how the page looks, and no others."""
    numbers = {key: values for key, values in directory.numbers.items() if key in _SHOWN} | changed
    if tag.COLOUR_MAP in numbers and max(numbers[tag.COLOUR_MAP]) < 256:
        # Some writers fill the 16-bit table with 8-bit values; taken at its word the picture is black.
        numbers[tag.COLOUR_MAP] = tuple(257 * value for value in numbers[tag.COLOUR_MAP])
    offsets, sizes = (
        (tag.TILE_OFFSETS, tag.TILE_BYTES) if pieces.tiled else (tag.STRIP_OFFSETS, tag.STRIP_BYTES)
    )
    numbers |= {offsets: pieces.offsets, sizes: pieces.sizes}
    return replace(directory, numbers=numbers, blobs={})


def _from_planes(data: bytes, directory: Directory, pieces: Pieces) -> Image.Image:
    """The page whose samples lie in one plane each, read as so many grey pictures."""
    extra = directory.numbers.get(tag.EXTRA_SAMPLES, (0,))[0]
    photometric = directory.first(tag.PHOTOMETRIC, 0)
    modes = {_RGB: {1: "RGBa", 2: "RGBA"}.get(extra, "RGB"), _INKS: "CMYK", _BLACK_IS_ZERO: "L"}
    mode = modes.get(photometric)
    if mode is None or directory.first(tag.SAMPLES, 1) < len(mode):
        raise _refused(directory)
    planes = []
    for offsets, sizes in pieces.planes(len(mode)):
        single = {tag.SAMPLES: (1,), tag.BITS: directory.numbers[tag.BITS][:1], tag.PLANAR: (1,)}
        numbers = {**directory.numbers, **single, tag.PHOTOMETRIC: (_BLACK_IS_ZERO,)}
        numbers.pop(tag.EXTRA_SAMPLES, None)
        plane = replace(pieces, offsets=offsets, sizes=sizes)
        planes.append(_load(data, replace(directory, numbers=numbers), plane))
    return Image.merge(mode, planes)
