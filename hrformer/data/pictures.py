"""The pictures of a data set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hrformer.data.errors import UnreadablePicture
from hrformer.images.decode import Limits, Picture, decode, read_header
from hrformer.images.errors import ImageError

LIMITS = Limits(max_bytes=200 << 20, min_side_px=1)  # these files are the user's own


def read_picture(file: Path, shrink: Callable[[int, int], int] | None = None) -> Picture:
    """The picture of a file, upright.

    shrink: from width and height, the largest reduction at which it may be decoded; whole if None.
    raises: UnreadablePicture, naming the file, if it is missing or broken.
    """
    with naming(file):
        data = file.read_bytes()
        header = read_header(data, LIMITS)
        reduction = 1 if shrink is None else shrink(header.width, header.height)
        return decode(data, LIMITS, shrink=reduction)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """raises: UnreadablePicture, naming the file, where it is read and is missing or broken."""
    try:
        yield
    except OSError as error:
        raise UnreadablePicture(f"{file} cannot be read: {error.strerror}") from error
    except ImageError as error:
        raise UnreadablePicture(f"{file}: {error}") from error
