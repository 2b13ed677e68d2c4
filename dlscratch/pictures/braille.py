"""Curves in a terminal: eight dots to a character, axes, and each curve's name and last value at its end.

Each run has its colour, and what is of validation rows is dashed, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dlscratch.backend import Array
from dlscratch.pictures.axes import Axis, tick_name
from dlscratch.pictures.curves import Chart, Series
from dlscratch.pictures.text import figure

BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of U+2800, by row and column of the dot
LEAST_WIDTH = 12
LONE, POINT = -1, "●"  # of a curve that is one point
DASH, GAP = 6, 3  # dots

Piece = tuple[str, int | None]  # text, and the number of its colour
Line = list[Piece]


def plot(chart: Chart, width: int, height: int, *, log: bool = False, title: bool = True) -> list[Line]:
    """A chart in so many characters: lines of pieces, each with the number of its colour or None."""
    y = Axis.around((v for s in chart.series for v in s.y), height * 4 - 1, 0, log=log, most=chart.most)
    names = [f" {series.name} {_last(series)}" for series in chart.series]
    scale = _scale(y, height)
    left = max(map(len, scale))
    columns = max(LEAST_WIDTH, width - left - 1 - max(map(len, names), default=0))
    x = Axis.around((v for s in chart.series for v in s.x), 0, columns * 2 - 1, whole=chart.counts)
    codes, owners = _paint(chart.series, x, y, columns, height)
    ends = _ends(chart.series, y, height)
    lines = [_heading(chart)] if title else []
    for row in range(height):
        end = [(names[n], chart.series[n].colour) for n in ends[row : row + 1] if n is not None]
        lines.append([(f"{scale[row]:>{left}}┤", None), *_runs(codes[row], owners[row]), *end])
    lines.append([(" " * left + "└" + "─" * columns, None)])
    lines.append([(" " * (left + 1) + _x_names(x, columns, chart.x_name), None)])
    placed = set(ends)
    return lines + [[(names[n], series.colour)] for n, series in enumerate(chart.series) if n not in placed]


def as_text(lines: Sequence[Line]) -> str:
    """The lines without colours."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def _heading(chart: Chart) -> Line:
    return [(chart.title + (f" ({chart.unit})" if chart.unit else ""), None)]


def _last(series: Series) -> str:
    return "–" if series.last is None else figure(series.last)


def _scale(y: Axis, height: int) -> list[str]:
    """The name at the left of each row: round numbers, and the extremes where there is none."""
    names = [""] * height
    names[0], names[-1] = (tick_name(float(f"{value:.3g}")) for value in (y.high, y.low))
    for tick in y.ticks(max(2, height // 2)):
        row = min(height - 1, max(0, int((y(tick) or 0) // 4)))
        if row in (0, height - 1) or 1 < row < height - 2:
            names[row] = tick_name(tick)
    return names


def _x_names(x: Axis, columns: int, title: str) -> str:
    """The ends of the axis and, as far as there is room, round numbers; then the name of the axis."""
    text = [" "] * columns
    ends = () if x.whole and x.low % 1 else (x.low, x.high)  # a single epoch has half a one on either side
    for tick in (*ends, *x.ticks(max(2, columns // 12))):
        name, place = tick_name(tick if x.whole else float(f"{tick:.3g}")), int((x(tick) or 0) // 2)
        start = min(max(0, place - len(name) // 2), columns - len(name))
        if not "".join(text[max(0, start - 1) : start + len(name) + 1]).strip():
            text[start : start + len(name)] = name
    return f"{''.join(text)}  {title}"


def _paint(series: Sequence[Series], x: Axis, y: Axis, columns: int, rows: int) -> tuple[Array, Array]:
    """The braille dots of each character, or LONE, and the colour of the curve that drew there last (-1: none)."""
    codes, owners = np.zeros((rows, columns), int), np.full((rows, columns), -1)
    for curve in series:
        for number, (column, row) in enumerate(_dots(curve, x, y)):
            place = row // 4, column // 2
            if not curve.dashed or number % (DASH + GAP) < DASH:
                codes[place] = LONE if curve.is_point else max(codes[place], 0) | BITS[row % 4, column % 2]
                owners[place] = curve.colour
    return codes, owners


def _dots(curve: Series, x: Axis, y: Axis) -> Iterator[tuple[int, int]]:
    """The dots of a curve from its start to its end, each as column and row."""
    before = None
    for point in zip(map(x, curve.x), map(y, curve.y), strict=True):
        here = None if None in point else np.array(point, float)
        if here is not None:
            yield from _between(here if before is None else before, here).tolist()
        before = here


def _between(start: Array, end: Array) -> Array:
    """The dots of a straight line."""
    steps = int(np.abs(end - start).max()) + 1
    return np.rint(np.linspace(start, end, steps + 1)).astype(int)


def _runs(codes: Array, owners: Array) -> Line:
    """A row of characters as pieces of one colour each."""
    pieces: Line = []
    for code, owner in zip(codes.tolist(), owners.tolist(), strict=True):
        sign = POINT if code == LONE else chr(0x2800 + code)
        text, colour = (sign, owner) if code else (" ", None)
        if pieces and pieces[-1][1] == colour:
            text = pieces.pop()[0] + text
        pieces.append((text, colour))
    return pieces


def _ends(series: Sequence[Series], y: Axis, height: int) -> list[int | None]:
    """For each row the curve whose name stands at its right: the row where it ends, or the next that is free."""
    rows: list[int | None] = [None] * height
    places = {n: y(s.last) for n, s in enumerate(series)}
    for number, place in sorted(places.items(), key=lambda item: item[1] if item[1] is not None else height * 4):
        wanted = height - 1 if place is None else int(place // 4)
        free = [row for row in range(height) if rows[row] is None]
        if free:
            rows[min(free, key=lambda row: (abs(row - wanted), row))] = number
    return rows
