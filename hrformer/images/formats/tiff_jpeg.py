"""JPEG inside TIFF: each strip or tile as a JPEG of its own, so that libjpeg-turbo's warnings are heard."""

import numpy as np

from hrformer.images import colour
from hrformer.images.errors import UnsupportedFormat
from hrformer.images.formats import jpeg
from hrformer.images.formats import tiff_directory as tag
from hrformer.images.formats.layout import broken_pixels
from hrformer.images.formats.tiff_directory import Directory
from hrformer.images.formats.tiff_pieces import Pieces

_INKS, _LUMA = 5, 6
_MAX_TABLE_BYTES = 8192  # repeated before each piece; four Huffman and four quantisation tables make 1.2 KB
_COMPONENTS = {0: 1, 1: 1, 2: 3, _LUMA: 3, _INKS: 4}


def pixels(data: bytes, directory: Directory, pieces: Pieces, profile: bytes) -> np.ndarray:
    """`(height, width, 3)` uint8 RGB of a page compressed as JPEG.

    raises: BrokenImage, UnsupportedFormat for planes and alpha.
    source: TIFF Technical Note 2 (libtiff, TTN2).
    """
    photometric, samples = directory.first(tag.PHOTOMETRIC, 0), directory.first(tag.SAMPLES, 1)
    if samples != _COMPONENTS.get(photometric) or (directory.first(tag.PLANAR, 1) == 2 and samples > 1):
        raise UnsupportedFormat(
            f"a JPEG-compressed TIFF of {samples} samples and photometric {photometric} is not read; "
            "expected grey, RGB, YCbCr or CMYK in one plane; save the picture as JPEG"
        )
    if len(directory.blobs.get(tag.JPEG_TABLES, b"")) > _MAX_TABLE_BYTES:
        raise broken_pixels("TIFF")
    width, height = directory.first(tag.WIDTH, 0), directory.first(tag.HEIGHT, 0)
    page = np.empty((height, width, 4 if samples == 4 else 3), np.uint8)
    across = -(-width // pieces.width)
    for at, (offset, size) in enumerate(zip(pieces.offsets, pieces.sizes, strict=True)):
        top, left = at // across * pieces.height, at % across * pieces.width
        target = page[top : top + pieces.height, left : left + pieces.width]
        target[:] = _piece(data[offset : offset + size], directory, pieces, target.shape)
    if photometric == 0:
        np.subtract(255, page, out=page)
    return colour.rgb_from_inks(page, profile) if samples == 4 else page


def _piece(body: bytes, directory: Directory, pieces: Pieces, shape: tuple[int, ...]) -> np.ndarray:
    """One strip or tile, cut to the part that lies on the page."""
    tables = directory.blobs.get(tag.JPEG_TABLES, b"")[2:-2]
    whole = jpeg.bare(body, jpeg.adobe(1 if directory.first(tag.PHOTOMETRIC, 0) == _LUMA else 0) + tables)
    size = jpeg.layout(whole)
    if (
        size.width < shape[1]
        or size.height < shape[0]
        or size.width * size.height > 4 * pieces.width * pieces.height
    ):
        raise broken_pixels("TIFF")
    decoded = jpeg.decoded(whole, "CMYK" if shape[2] == 4 else "RGB")
    if decoded.shape[2] != shape[2]:
        raise broken_pixels("TIFF")
    return decoded[: shape[0], : shape[1]]
