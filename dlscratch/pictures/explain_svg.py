"""An explanation as a picture: values flow to the right, gradients back to the left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.pictures.explain import Explanation, Move, short, title_of
from dlscratch.pictures.expression import Part
from dlscratch.pictures.markup import Html, tag
from dlscratch.pictures.svg import LINE, cut, picture, width_of, words

LETTERS = 34  # the longest line in a box
ROWS = 5  # of a matrix that is written out
PADDING = 10.0
BETWEEN = 22.0  # boxes of a column


@dataclass
class Box:
    """Where a part of the expression stands, and what is written in it."""

    part: Part
    lines: list[tuple[str, str]]  # text and class
    column: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return max(width_of(text) for text, _ in self.lines) + 2 * PADDING

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * PADDING - 4


def explain_svg(explanation: Explanation) -> str:
    """The explanation as an SVG file."""
    boxes = {part.number: Box(part, _lines(explanation, part)) for part in _reached(explanation)}
    labels = _labels(explanation)
    width = _columns(explanation.expression.result, boxes, labels)
    _rows(explanation.expression.result, boxes)
    height = max(box.y + box.height for box in boxes.values())
    title = f"{explanation.expression.source.text} = {short(explanation.expression.result.value)}"
    edges = [edge for box in boxes.values() for edge in _edges(box, boxes, labels)]
    return picture(width, height, cut(title, 100), str(explanation), *edges, *map(_box, boxes.values()))


def _reached(explanation: Explanation) -> Iterator[Part]:
    """The parts that the result is made of, each once."""
    waiting, seen = [explanation.expression.result], set()
    while waiting:
        part = waiting.pop()
        if part.number not in seen:
            seen.add(part.number)
            yield part
            waiting.extend(part.operands)


def _lines(explanation: Explanation, part: Part) -> list[tuple[str, str]]:
    """What stands in a box: op, text, value and gradient."""
    gradient = explanation.gradient(part)
    lines = [(f"{title_of(part)} {cut(part.text, LETTERS - 10)}", "strong inside")]
    lines += [(text, "inside") for text in _written("", part.value)]
    if gradient is not None:
        lines += [(text, "flow inside") for text in _written("gradient ", gradient)]
    elif part.name:
        lines.append(("constant", "soft inside"))
    return lines


def _written(before: str, value: Array) -> list[str]:
    """A value in a box: small matrices row by row."""
    if value.ndim != 2 or len(value) > ROWS:
        return [cut(before + short(value), LETTERS)]
    rows = [short(row) for row in np.asarray(value)]
    wide = max(map(len, rows), default=0)
    return [cut((before if index == 0 else " " * len(before)) + row.rjust(wide), LETTERS) for index, row in enumerate(rows)]


def _labels(explanation: Explanation) -> dict[tuple[int, int], str]:
    """What flows back over each edge: by op and position of the operand. Inside a function made of ops, nothing."""
    found = {}
    for step in explanation.steps:
        for move in step.moves:
            number = explanation.number_of(step.node)
            if number is not None and explanation.number_of(move.flow.source) is not None:
                found[number, move.flow.position] = _label(move)
    return found


def _label(move: Move) -> str:
    over = f" Σ axis {','.join(map(str, move.summed))}" if move.summed else ""
    return cut(short(move.flow.part), 22) + over


def _columns(result: Part, boxes: dict[int, Box], labels: dict[tuple[int, int], str]) -> float:
    """Give each box its column and its x: operands to the left of their op, as near as they can. The whole width."""
    for box in sorted(boxes.values(), key=lambda box: box.part.number, reverse=True):
        if box.part.op or box.part is result:
            for operand in box.part.operands:
                boxes[operand.number].column = max(boxes[operand.number].column, box.column + 1)
    x = 0.0
    for column in range(max(box.column for box in boxes.values()), -1, -1):
        inside = [box for box in boxes.values() if box.column == column]
        for box in inside:
            box.x = x
        numbers = {box.part.number for box in boxes.values() if box.column == column - 1}
        room = max((width_of(text) for (number, _), text in labels.items() if number in numbers), default=0)
        x += max(box.width for box in inside) + max(56.0, room + 40)
    return max(box.x + box.width for box in boxes.values())


def _rows(result: Part, boxes: dict[int, Box]) -> None:
    """Give each box its y: leaves one below the other, an op in the middle of its operands; then none may overlap."""
    foot = 0.0
    placed: set[int] = set()

    def place(part: Part) -> float:
        """The middle of a part's box, after its operands have theirs."""
        nonlocal foot
        box = boxes[part.number]
        if part.number not in placed:
            placed.add(part.number)
            middles = [place(operand) for operand in part.operands]
            if middles:
                box.y = sum(middles) / len(middles) - box.height / 2
            else:
                box.y, foot = foot, foot + box.height + BETWEEN
        return box.y + box.height / 2

    place(result)
    for column in {box.column for box in boxes.values()}:
        free = 0.0
        for box in sorted((box for box in boxes.values() if box.column == column), key=lambda box: box.y):
            box.y = max(box.y, free)
            free = box.y + box.height + BETWEEN


def _edges(box: Box, boxes: dict[int, Box], labels: dict[tuple[int, int], str]) -> Iterator[Html]:
    """The curves from the operands to an op, and on each what flows back."""
    count = len(box.part.operands)
    for position, operand in enumerate(box.part.operands):
        start = boxes[operand.number]
        x1, y1 = start.x + start.width, start.y + start.height / 2 + 5 * (position if operand in box.part.operands[:position] else 0)
        x2, y2 = box.x, box.y + box.height * (position + 1) / (count + 1)
        bend = (x2 - x1) / 2
        path = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        yield tag("path", d=path, class_="edge", marker_end="url(#tip)")
        if label := labels.get((box.part.number, position)):
            yield words(x2 - 10, y2 - 5, f"← {label}", "flow", "end")


def _box(box: Box) -> Html:
    lines = [
        words(PADDING, PADDING + 8 + LINE * index, text, class_) for index, (text, class_) in enumerate(box.lines)
    ]
    frame = tag("rect", width=box.width, height=box.height, rx="6", class_="box")
    return tag("g", tag("title", box.part.text), frame, *lines, transform=f"translate({box.x:.1f} {box.y:.1f})")
