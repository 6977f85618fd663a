"""Lines over two axes as a picture (SVG) that needs nothing to be read."""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]  # x, y; both from 0 up, y above 0 on a logarithmic axis

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 46, 56  # px around the axes, names of lines on the right
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555")  # Okabe and Ito's
SHORT = 14  # px between names


class Axis:
    """Values → pixels."""

    def __init__(self, values: Sequence[float], start_px: float, end_px: float, *, logarithmic: bool) -> None:
        self._log, self._start_px, self._end_px = logarithmic, start_px, end_px
        if logarithmic:
            known = [value for value in values if value > 0] or [1.0]
            self._low = float(math.floor(math.log10(min(known))))
            self._high = max(float(math.ceil(math.log10(max(known)))), self._low + 1)
        else:
            self._low, self._high = 0.0, max(values, default=1.0) or 1.0

    def px(self, value: float) -> float:
        at = math.log10(max(value, 10**self._low)) if self._log else value
        share = (at - self._low) / (self._high - self._low)
        return round(self._start_px + share * (self._end_px - self._start_px), 1)

    def ticks(self) -> list[float]:
        if self._log:
            powers = range(int(self._low), int(self._high) + 1)
            return [step * 10.0**power for power in powers for step in (1, 2, 5) if self._shows(step, power)]
        rough = self._high / 5
        scale = 10.0 ** math.floor(math.log10(rough))
        step = next(one * scale for one in (1, 2, 5, 10) if one * scale >= rough)
        return [number * step for number in range(int(self._high / step) + 1)]

    def _shows(self, step: int, power: int) -> bool:
        few = self._high - self._low <= 2
        return math.log10(step) + power <= self._high and (few or step == 1)


def chart(title: str, x_name: str, y_name: str, lines: Mapping[str, Points], *, log_y: bool = True) -> str:
    """SVG of lines with their names beside their ends; y is logarithmic unless told otherwise."""
    points = [point for line in lines.values() for point in line]
    x_axis = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, logarithmic=False)
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, logarithmic=log_y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
        ' font-family="sans-serif" font-size="12" fill="#222">',
        f'<title>{escape(title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 24, title, size=15),
        *_grid(x_axis, y_axis),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x_name, anchor="middle"),
        f'<g transform="rotate(-90 18 {HEIGHT / 2})">{_text(18, HEIGHT / 2, y_name, anchor="middle")}</g>',
        *_lines(lines, x_axis, y_axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(x_axis: Axis, y_axis: Axis) -> list[str]:
    parts = []
    for value in y_axis.ticks():
        y = y_axis.px(value)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:g}", anchor="end"))
    for value in x_axis.ticks():
        x = x_axis.px(value)
        parts.append(f'<path d="M{x} {HEIGHT - BOTTOM}v5" stroke="#222"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 19, f"{value:g}", anchor="middle"))
    return [*parts, f'<path d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}" stroke="#222"/>']


def _lines(lines: Mapping[str, Points], x_axis: Axis, y_axis: Axis) -> list[str]:
    """Each line with its points; names from top to bottom, none over another."""
    drawn = []
    for number, (name, points) in enumerate(lines.items()):
        places = [(x_axis.px(x), y_axis.px(y)) for x, y in points]
        if places:
            drawn.append((places[-1][1], name, places, COLOURS[number % len(COLOURS)]))
    parts, free_from = [], float(TOP)
    for end, name, places, colour in sorted(drawn):
        at = max(end, free_from)
        free_from = at + SHORT
        way = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(WIDTH - RIGHT + 10, at + 4, name, colour=colour))
    return parts


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, colour: str = "") -> str:
    fill = f' fill="{colour}"' if colour else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}"{fill}>{escape(words)}</text>'
