"""Where everything in a picture of a model stands: chains of boxes, wrapped into columns (or rows), groups in groups.

All is reckoned along the chain ("along", in reading direction) and across it, so that one code serves both directions;
only `Frame.point` knows which is x and which is y.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dlscratch.pictures.graph import Block, Direction
from dlscratch.pictures.svg import width_of

Point = tuple[float, float]  # along, across
GAP = 26.0  # between boxes of a chain
GUTTER = 40.0  # between columns
LANE = 22.0  # for the line that leads a residual's input past its layers
HEAD = 28.0  # for a group's name
EDGE = 14.0  # between a group's border and what is in it
PLUS = 9.0  # the radius of the sign where a residual adds its input
WIDE = 1.5  # width : height that a whole picture should have
LONG = 900.0  # a group of more pixels is wrapped, too


@dataclass
class Item:
    """A box of a chain: a layer, or a group with a chain of its own. Places are relative to what it stands in."""

    block: Block
    length: float  # along
    breadth: float  # across
    chain: Chain | None = None
    along: float = 0.0
    across: float = 0.0
    inner: Point = (0.0, 0.0)  # where a group's chain begins
    behind: float = 0.0  # and the room after it
    entry: float = 0.0  # where the line comes in, across
    exit: float = 0.0  # and goes out


@dataclass
class Chain:
    """Items one after the other in one or more columns, and the lines between them."""

    items: list[Item] = field(default_factory=list)
    lines: list[list[Point]] = field(default_factory=list)
    length: float = 0.0
    breadth: float = 0.0


@dataclass(frozen=True)
class Frame:
    """The direction, and the size that a layer's box needs (width, height)."""

    direction: Direction
    size: Callable[[Block], tuple[float, float]]

    def point(self, along: float, across: float) -> tuple[float, float]:
        """x and y."""
        return (across, along) if self.direction == "down" else (along, across)

    def margins(self, block: Block) -> tuple[float, float, float, float]:
        """The room in a group before and behind its chain, and on the near and the far side of it."""
        lane, plus = (LANE, LANE + 12) if block.adds_input else (0.0, 0.0)
        if self.direction == "down":
            return HEAD + EDGE, EDGE + plus, EDGE + lane, EDGE
        return EDGE + GAP / 2, EDGE + plus, HEAD + lane, EDGE


def whole(blocks: Sequence[Block], frame: Frame, wide: float = WIDE) -> Chain:
    """The layout of a picture: as many columns as bring it near these proportions, width : height."""
    items = [_item(block, frame) for block in blocks]
    total = sum(item.length + GAP for item in items)
    wanted = wide if frame.direction == "right" else 1 / wide  # along : across

    def ugliness(columns: int) -> float:
        chain = _chain(items, total / columns)
        return abs(math.log(max(chain.length, 1) / max(chain.breadth, 1) / wanted))

    best = min(range(1, min(len(items), 40) + 1), key=ugliness, default=1)
    return _chain(items, total / best)


def _item(block: Block, frame: Frame) -> Item:
    """A box or group with its size, and all that is in it placed."""
    if not block.inside:
        length, breadth = frame.point(*frame.size(block))  # the same swap leads from width and height, too
        return Item(block, length, breadth, None, entry=breadth / 2, exit=breadth / 2)
    items = [_item(each, frame) for each in block.inside]
    total = sum(item.length + GAP for item in items)
    chain = _chain(items, total / max(1, round(total / LONG)))
    first, last = chain.items[0], chain.items[-1]
    before, behind, near, far = _margins(block, chain, first.across + first.entry, frame)
    return Item(
        block,
        before + chain.length + behind,
        near + chain.breadth + far,
        chain,
        inner=(before, near),
        behind=behind,
        entry=near + first.across + first.entry,
        exit=near + last.across + last.exit,
    )


def _margins(block: Block, chain: Chain, entry: float, frame: Frame) -> tuple[float, float, float, float]:
    """The frame's margins, widened where the group's name needs it: in a column it stands on both sides of the line."""
    before, behind, near, far = frame.margins(block)
    name, count = (width_of(text) + 20 for text in name_of(block))
    if frame.direction == "down":
        return before, behind, max(near, name - entry), max(far, count - (chain.breadth - entry))
    return before, max(behind, name + count - before - chain.length), near, far


def name_of(block: Block) -> tuple[str, str]:
    """The name of a group, and how many parameters it has."""
    return f"{block.path} {block.kind}", block.count


def _chain(items: list[Item], target: float) -> Chain:
    """Items placed in columns of about the target's length, side by side, entered along one axis each."""
    chain = Chain(items)
    edges: dict[int, float] = {}  # where an item's column begins
    for column in _columns(items, target):
        axis = chain.breadth + (GUTTER if chain.breadth else 0) + max(item.entry for item in column)
        along = 0.0
        for item in column:
            item.along, item.across = along, axis - item.entry
            along += item.length + GAP
        chain.length = max(chain.length, along - GAP)
        chain.breadth = axis + max(item.breadth - item.entry for item in column)
        edges.update((id(item), axis - max(each.entry for each in column)) for item in column)
    chain.lines = [_line(one, other, edges[id(other)]) for one, other in pairwise(items)]
    return chain


def _columns(items: list[Item], target: float) -> list[list[Item]]:
    """Items cut into columns: a new one begins where the next item would stand out by more than half of itself."""
    columns: list[list[Item]] = []
    length = math.inf
    for item in items:
        if length + item.length / 2 > target:
            columns.append([])
            length = 0.0
        columns[-1].append(item)
        length += item.length + GAP
    return columns


def _line(one: Item, other: Item, edge: float) -> list[Point]:
    """The line from an item to the next: straight, with a bend, or round the corner to a column with its edge there."""
    start = one.along + one.length, one.across + one.exit
    end = other.along, other.across + other.entry
    if end[0] > start[0]:
        bend = (start[0] + end[0]) / 2
        return [start, (bend, start[1]), (bend, end[1]), end] if abs(start[1] - end[1]) > 0.5 else [start, end]
    gutter = edge - GUTTER / 2
    turn, back = start[0] + GAP / 2, end[0] - GAP / 2
    return [start, (turn, start[1]), (turn, gutter), (back, gutter), (back, end[1]), end]
