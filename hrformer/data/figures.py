"""Masks of one figure each, read as photographs in which one person's box is known and nobody else's is."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hrformer.data.errors import BadDataset
from hrformer.data.mask_folder import read_mask, read_mask_folder
from hrformer.data.people import Photograph
from hrformer.data.pictures import read_picture


def read_figures(directory: Path, split: str) -> list[Photograph]:
    """The figure's extent as the box of a person; all around is a crowd: it is not known who is there.

    A picture without a figure is left out: it may show people all the same.
    raises: BadDataset, naming what is wrong, as `read_mask_folder` and `read_mask` do, or if no class stands
        for the background.
    """
    folder = read_mask_folder(directory, split)
    if folder.background is None:
        raise BadDataset(f"{directory} has no background class; expected one, to tell figures from")
    photographs = []
    for number, sample in enumerate(folder.samples):
        picture = read_picture(sample.image)
        size = (picture.height, picture.width)
        mask = read_mask(sample.mask, len(folder.classes), folder.ignore, size=size)
        figure = (mask != folder.background) & (mask != folder.ignore)
        if figure.any():
            photographs.append(_photograph(sample.image, number, figure))
    return photographs


def _photograph(image: Path, number: int, figure: npt.NDArray[np.bool_]) -> Photograph:
    height, width = figure.shape
    left, right = _extent(figure, 1)
    top, bottom = _extent(figure, 0)
    around = [
        (0, 0, width, top),
        (0, bottom, width, height - bottom),
        (0, top, left, bottom - top),
        (right, top, width - right, bottom - top),
    ]
    return Photograph(
        image,
        number,
        boxes=np.array([[left, top, right - left, bottom - top]], np.float32),
        crowds=np.array([strip for strip in around if min(strip[2:]) > 0], np.float32).reshape(-1, 4),
    )


def _extent(figure: npt.NDArray[np.bool_], axis: int) -> tuple[int, int]:
    """The first place of an axis where the figure is, and the one after the last."""
    places = figure.nonzero()[axis]
    return int(places.min()), int(places.max()) + 1
