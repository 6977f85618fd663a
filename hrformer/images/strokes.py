"""Smooth lines and discs on an array, by each pixel's distance from them."""

import math

import numpy as np

Colour = tuple[int, int, int]
Point = tuple[float, float]


def draw_disc(pixels: np.ndarray, centre: Point, radius: float, colour: Colour, opacity: float = 1.0) -> None:
    """Draws a filled circle in place; arguments as for `draw_line`."""
    draw_line(pixels, centre, centre, radius, colour, opacity)


def draw_line(
    pixels: np.ndarray, start: Point, end: Point, radius: float, colour: Colour, opacity: float = 1.0
) -> None:
    """Draws a line with round ends into `(height, width, 3)` uint8, in place.

    start, end: x and y in pixels, the centre of the top-left pixel at (0, 0); they may lie outside.
    radius: half the line's width in pixels.
    opacity: 0 to 1.
    """
    reach = radius + 1
    low, high = sorted((start[1], end[1]))
    top, bottom = max(0, math.floor(low - reach)), min(pixels.shape[0], math.ceil(high + reach) + 1)
    step = max(
        16, round(4 * reach)
    )  # a slanted line fills little of its bounding box; short strips follow it
    for first in range(top, bottom, step):
        rows = slice(first, min(first + step, bottom))
        columns = _columns(start, end, rows, reach, pixels.shape[1])
        if columns.start < columns.stop:
            cover = _coverage(rows, columns, start, end, radius)
            _blend(pixels[rows, columns], cover * opacity, colour)


def _columns(start: Point, end: Point, rows: slice, reach: float, width: int) -> slice:
    """The columns the line may touch in these rows."""
    (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    near, far = 0.0, 1.0
    if dy:
        near, far = sorted(((rows.start - reach - y) / dy, (rows.stop + reach - y) / dy))
    ends = [x + dx * min(max(part, 0.0), 1.0) for part in (near, far)]
    return slice(max(0, math.floor(min(ends) - reach)), min(width, math.ceil(max(ends) + reach) + 1))


def _coverage(rows: slice, columns: slice, start: Point, end: Point, radius: float) -> np.ndarray:
    """How much of each pixel the line covers, `(rows, columns)` float32 0 to 1."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - start[0]
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - start[1]
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    return np.clip(radius + 0.5 - np.hypot(x - along * dx, y - along * dy), 0, 1)


def _blend(target: np.ndarray, opacity: np.ndarray, colour: Colour) -> None:
    mixed = target + (np.array(colour, np.float32) - target) * opacity[:, :, None]
    target[:] = np.rint(mixed)
