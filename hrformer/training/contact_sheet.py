"""Several pictures side by side, to look at."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

COLUMNS = 6
CELL_PX = 240
PAPER = (250, 250, 250)


def contact_sheet(pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Pictures `(height, width, 3)` uint8 of any sizes, each fitted into a square cell, in rows."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(pictures)) * CELL_PX, rows * CELL_PX), PAPER)
    for index, pixels in enumerate(pictures):
        cell = Image.fromarray(pixels)
        scale = CELL_PX / max(cell.size)
        cell = cell.resize((max(1, round(cell.width * scale)), max(1, round(cell.height * scale))))
        left = index % COLUMNS * CELL_PX + (CELL_PX - cell.width) // 2
        top = index // COLUMNS * CELL_PX + (CELL_PX - cell.height) // 2
        sheet.paste(cell, (left, top))
    return np.asarray(sheet)
