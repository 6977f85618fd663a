"""Several pictures side by side, to look at."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

COLUMNS = 6
CELL_PX = 240
PAPER = (250, 250, 250)


def contact_sheet(
    pictures: Sequence[npt.NDArray[np.uint8]], *, columns: int = COLUMNS, cell_px: int = CELL_PX
) -> npt.NDArray[np.uint8]:
    """Pictures `(height, width, 3)` uint8 of any sizes, each fitted into a square cell, in rows."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (min(columns, len(pictures)) * cell_px, rows * cell_px), PAPER)
    for index, pixels in enumerate(pictures):
        cell = Image.fromarray(pixels)
        scale = cell_px / max(cell.size)
        cell = cell.resize((max(1, round(cell.width * scale)), max(1, round(cell.height * scale))))
        left = index % columns * cell_px + (cell_px - cell.width) // 2
        top = index // columns * cell_px + (cell_px - cell.height) // 2
        sheet.paste(cell, (left, top))
    return np.asarray(sheet)
