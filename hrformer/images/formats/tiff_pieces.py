"""The strips or tiles of a TIFF page, each of them wholly inside the file."""

from dataclasses import dataclass

from hrformer.images.errors import UnsupportedFormat
from hrformer.images.formats import tiff_directory as tag
from hrformer.images.formats.layout import broken_header, broken_pixels
from hrformer.images.formats.tiff_directory import Directory

_UNCOMPRESSED = 1
_MAX_PIECES = 16_384  # each costs a call; a page of 50 million pixels in tiles of 64 has 12,208


@dataclass(frozen=True)
class Pieces:
    """A grid of rectangles, row by row, one plane after the other."""

    tiled: bool
    width: int
    height: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    """bytes of each"""
    per_plane: int

    def planes(self, count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Offsets and sizes of each of the first planes."""
        parts = [slice(at * self.per_plane, (at + 1) * self.per_plane) for at in range(count)]
        return [(self.offsets[part], self.sizes[part]) for part in parts]


def read_pieces(data: bytes, directory: Directory) -> Pieces:
    """Where the pixels of the page lie.

    raises: BrokenImage if there are fewer than the page needs or one reaches past the end of the file;
        UnsupportedFormat for too many.
    """
    width, height = directory.first(tag.WIDTH, 0), directory.first(tag.HEIGHT, 0)
    tiled = tag.TILE_OFFSETS in directory.numbers
    piece_width, piece_height = _tile(directory) if tiled else (width, _strip_rows(directory, height))
    down = -(-height // piece_height)
    per_plane = -(-width // piece_width) * down
    planes = directory.first(tag.SAMPLES, 1) if directory.first(tag.PLANAR, 1) == 2 else 1
    needed = per_plane * planes
    if needed > _MAX_PIECES:
        raise UnsupportedFormat(
            f"the TIFF is cut into {needed} strips or tiles; expected at most {_MAX_PIECES}; "
            "save it with larger ones"
        )
    offsets = directory.numbers.get(tag.TILE_OFFSETS if tiled else tag.STRIP_OFFSETS, ())[:needed]
    sizes = directory.numbers.get(tag.TILE_BYTES if tiled else tag.STRIP_BYTES, ())[:needed]
    last_rows = height - (down - 1) * piece_height
    rows = [last_rows if not tiled and (at + 1) % down == 0 else piece_height for at in range(needed)]
    smallest = [_row_bytes(directory, piece_width, planes) * count for count in rows]
    if not sizes and directory.first(tag.COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        sizes = tuple(smallest)
    pieces = Pieces(tiled, piece_width, piece_height, offsets, sizes, per_plane)
    _check(data, pieces, smallest)
    return pieces


def _tile(directory: Directory) -> tuple[int, int]:
    width, height = directory.first(tag.TILE_WIDTH, 0), directory.first(tag.TILE_HEIGHT, 0)
    page = directory.first(tag.WIDTH, 0) * directory.first(tag.HEIGHT, 0)
    if min(width, height) < 16 or width * height > max(1 << 20, 4 * page):
        raise broken_header("TIFF", f"its tiles are {width}x{height} px")
    return width, height


def _strip_rows(directory: Directory, height: int) -> int:
    rows = directory.first(tag.ROWS_PER_STRIP, height)
    if rows == 0:
        raise broken_header("TIFF", "its strips have no rows")
    return min(rows, height)


def _row_bytes(directory: Directory, width: int, planes: int) -> int:
    """Bytes a row of a piece must have; none to speak of where it is compressed."""
    if directory.first(tag.COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED:
        return 0
    samples = 1 if planes > 1 else directory.first(tag.SAMPLES, 1)
    return (width * samples * directory.first(tag.BITS, 1) + 7) // 8


def _check(data: bytes, pieces: Pieces, smallest: list[int]) -> None:
    """Each piece within the file and long enough, and all of them together no longer than the file."""
    if not len(pieces.offsets) == len(pieces.sizes) == len(smallest) or sum(pieces.sizes) > len(data):
        raise broken_pixels("TIFF")
    for offset, size, least in zip(pieces.offsets, pieces.sizes, smallest, strict=True):
        if offset + size > len(data) or size < max(least, 1):
            raise broken_pixels("TIFF")
