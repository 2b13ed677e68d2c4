"""An explanation as a picture: values flow to the right, gradients back to the left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dlscratch.backend import Array
from dlscratch.pictures.explain import Explanation, Move
from dlscratch.pictures.markup import Html, tag
from dlscratch.pictures.parts import Part, short
from dlscratch.pictures.svg import LINE, picture, width_of, words
from dlscratch.pictures.text import cut

LETTERS = 34  # the longest line in a box
ROWS = 5  # of a matrix that is written out
PADDING = 10.0
BETWEEN = 22.0  # boxes of a column


@dataclass(eq=False)
class Box:
    """Where a part of the expression stands, and what is written in it; or where an edge passes by a column."""

    lines: list[tuple[str, str]]  # text and class; none: an edge passes
    part: Part | None = None
    column: int = 0  # counted from the result, on the right
    operands: list[Box] = field(default_factory=list)  # or where the edges from them pass the column before
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * PADDING - 4 if self.lines else LINE

    def texts(self) -> list[str]:
        """The lines without their classes; an edge has one without letters."""
        return [text for text, _ in self.lines] or [""]

    def own_width(self) -> float:
        """What its lines need; 0 where an edge passes."""
        return max(map(width_of, self.texts())) + 2 * PADDING if self.lines else 0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def explain_svg(explanation: Explanation) -> str:
    """The explanation as an SVG file."""
    columns = _columns(explanation)
    labels = _labels(explanation)
    width, height = _place(columns, labels)
    result = explanation.expression.result
    title = cut(f"{explanation.expression.source.text} = {short(result.value)}", 100)
    boxes = [box for column in columns for box in column]
    edges = [edge for box in boxes for edge in _edges(box, labels)]
    return picture(width, height, title, str(explanation), *edges, *map(_box, boxes))


def _columns(explanation: Explanation) -> list[list[Box]]:
    """The boxes column by column, the result's first: each to the left of all that it goes into.

    In a column they stand in the order in which the expression names them, and so do the edges that pass it.
    """
    result = explanation.expression.result
    parts = sorted(_reached(result), key=lambda part: part.number, reverse=True)
    parts.sort(key=lambda part: part is not result)
    boxes = {part.number: Box(_lines(explanation, part), part) for part in parts}
    for part in parts:
        for operand in part.operands:
            boxes[operand.number].column = max(boxes[operand.number].column, boxes[part.number].column + 1)
    columns: list[list[Box]] = [[] for _ in range(1 + max(box.column for box in boxes.values()))]

    def stand(part: Part) -> Box:
        box = boxes[part.number]
        if box not in columns[box.column]:
            box.operands = [_led(stand(operand), box.column, columns) for operand in part.operands]
            columns[box.column].append(box)
        return box

    stand(result)
    return columns


def _led(box: Box, column: int, columns: list[list[Box]]) -> Box:
    """Where the edge from a box passes the column to the left of `column`; the box itself, if it stands there."""
    for passed in range(box.column - 1, column, -1):
        box = Box([], None, passed, [box])
        columns[passed].append(box)
    return box


def _reached(result: Part) -> set[Part]:
    """The parts that the result is made of."""
    waiting, seen = [result], set()
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            waiting.extend(part.operands)
    return seen


def _lines(explanation: Explanation, part: Part) -> list[tuple[str, str]]:
    """What stands in a box: op, text, value and gradient."""
    gradient = explanation.gradient(part)
    lines = [(f"<{part.title}> {cut(part.text, LETTERS - 10)}", "strong inside")]
    if part.made_of:
        lines.append((cut(f"= {part.made_of}", LETTERS), "soft inside"))
    if part.text != short(part.value):
        lines += [(text, "inside") for text in _written("", part.value)]
    if gradient is not None:
        lines += [(text, "flow inside") for text in _written("gradient ", gradient)]
    elif part.name:
        lines.append(("constant", "soft inside"))
    return lines


def _written(before: str, value: Array) -> list[str]:
    """A value in a box: small matrices row by row."""
    if value.ndim != 2 or not 0 < len(value) <= ROWS:
        return [cut(before + short(value), LETTERS)]
    rows = [short(row) for row in value]
    wide = max(map(len, rows))
    heads = [before, *[" " * len(before)] * (len(rows) - 1)]
    return [cut(head + row.rjust(wide), LETTERS) for head, row in zip(heads, rows, strict=True)]


def _labels(explanation: Explanation) -> dict[tuple[int, int], str]:
    """What flows back over each edge: by op and position of the operand."""
    return {(step.part.number, move.flow.position): _label(move) for step in explanation.steps for move in step.moves}


def _label(move: Move) -> str:
    over = f" Σ axis {','.join(map(str, move.summed))}" if move.summed else ""
    return cut(short(move.flow.part), 22) + over


def _place(columns: list[list[Box]], labels: dict[tuple[int, int], str]) -> tuple[float, float]:
    """Give each box its place, from the left: in the middle of its operands, if it is free. The picture's size."""
    x = end = 0.0
    for number in range(len(columns) - 1, -1, -1):
        width = max(width_of(text) + 2 * PADDING for box in columns[number] for text in box.texts())
        free = 0.0
        for box in columns[number]:
            wanted = sum(each.middle for each in box.operands) / max(len(box.operands), 1) - box.height / 2
            box.x, box.y, box.width = x, max(wanted, free), box.own_width() or width
            free = box.y + box.height + BETWEEN
        end = max(end, free - BETWEEN)
        into = {box.part.number for box in columns[number - 1] if box.part} if number else set()
        room = max((width_of(text) for (op, _), text in labels.items() if op in into), default=0)
        x += width + (max(56.0, room + 60) if number else 0)
    return x, end


def _edges(box: Box, labels: dict[tuple[int, int], str]) -> Iterator[Html]:
    """The edges into a box, each with what flows back over it."""
    for position, operand in enumerate(box.operands):
        y = box.y + box.height * (position + 1) / (len(box.operands) + 1)
        label = labels.get((box.part.number, position), "") if box.part else ""
        yield _edge(operand, box, y, width_of(label) + 18 if label else 0)
        if label:
            yield words(box.x - 10, y - 5, f"← {label}", "flow", "end")


def _edge(start: Box, end: Box, y2: float, straight: float) -> Html:
    """A curve to a box, with a straight end under what is written there, or past a column that it only passes."""
    x1, y1, x2 = start.x + start.width, start.middle, end.x - straight
    bend = (x2 - x1) / 2
    curve = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    path = f"{curve} H{end.x + (0 if end.part else end.width):.1f}"
    return tag("path", d=path, class_="edge", marker_end="url(#tip)" if end.part else None)


def _box(box: Box) -> Html:
    if box.part is None:
        return Html()
    lines = [words(PADDING, PADDING + 8 + LINE * index, text, class_) for index, (text, class_) in enumerate(box.lines)]
    frame = tag("rect", width=box.width, height=box.height, rx="6", class_="box")
    return tag("g", tag("title", box.part.text), frame, *lines, transform=f"translate({box.x:.1f} {box.y:.1f})")
