"""Many pictures read by a few threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from hrformer.data.errors import BadDataset, UnreadablePicture
from hrformer.data.mask_folder import MaskFolder, MaskSample, read_mask
from hrformer.data.pictures import read_picture
from hrformer.data.unreadable import LeftOut

READ_AHEAD = 16  # pictures for each thread: more would only fill the memory
SMALLEST = 8  # reduction at which a picture is decoded to see whether that can be done

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int = 2) -> Iterator[R]:
    """Results in the order of the items, made by a few threads."""
    remaining = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        while part := list(islice(remaining, READ_AHEAD * workers)):
            yield from pool.map(function, part)


def readable(
    read: Callable[[T], R], items: Iterable[T], left_out: LeftOut | None = None
) -> Iterator[tuple[T, R]]:
    """The items with what is read of them, in their order; those that cannot be read are left out.

    raises: UnreadablePicture where such are refused, which they are if nothing is said of them; BadDataset
        if all are left out.
    """
    left_out, count = left_out or LeftOut(), 0

    def attempt(item: T) -> tuple[T, R] | UnreadablePicture:
        try:
            return item, read(item)
        except UnreadablePicture as error:
            return error

    for found in in_order(attempt, items):
        if isinstance(found, UnreadablePicture):
            left_out.note(found)
        else:
            count += 1
            yield found
    if count == 0:
        raise BadDataset(f"no picture is left to train on; {' '.join(str(left_out).split())}")


def check_pictures(files: Iterable[Path]) -> None:
    """Reads each picture once. raises: UnreadablePicture, naming the first that is missing or broken."""
    for _ in in_order(lambda file: read_picture(file, lambda width, height: SMALLEST), dict.fromkeys(files)):
        pass


def check_masks(folder: MaskFolder) -> None:
    """Reads each picture and its mask. raises: BadDataset, naming the first that is not as it should be."""

    def check(sample: MaskSample) -> None:
        picture = read_picture(sample.image, lambda width, height: SMALLEST)
        read_mask(sample.mask, len(folder.classes), folder.ignore, size=(picture.height, picture.width))

    for _ in in_order(check, folder.samples):
        pass
