"""The graph of a model as an SVG picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dlscratch.pictures.graph import Block, Direction, Graph
from dlscratch.pictures.graph_layout import EDGE, GAP, HEAD, LANE, PLUS, WIDE, Chain, Frame, Item, Point, name_of, whole
from dlscratch.pictures.markup import Html, tag
from dlscratch.pictures.svg import LINE, line, picture, width_of, words
from dlscratch.pictures.text import cut, times

LETTERS = 28  # the longest line in a box
PADDING = 12.0
STRIPE = 5.0
TOP = 18.0  # for lines that lead to the next column
ENDS = ("input", "output")
FAMILIES = {
    "weights": "with weights",
    "normalization": "normalization",
    "activation": "activation",
    "other": "without weights",
}


def graph_svg(graph: Graph, direction: Direction = "down", wide: float = WIDE) -> str:
    """The graph as an SVG file, from top to bottom or from left to right, wrapped like text to about `wide` : 1."""
    frame = Frame(direction, _size)
    root = graph.root
    blocks = [_end("input", root.input_shape), *graph.blocks, _end("output", root.output_shape)]
    chain = whole(blocks, frame, wide)
    width, height = frame.point(chain.length, chain.breadth)
    summary = f"{graph.title}: {graph.summary}"
    families = {block.family for block in root.all() if not block.inside}
    drawn = tag("g", *_chain(chain, (0.0, 0.0), frame), transform=f"translate(0 {TOP:g})")
    legend = _legend(families, height + TOP + 34)
    return picture(max(width, 420.0), height + TOP + 40, summary, graph.branch().text(), drawn, *legend)


def _end(name: str, shape: tuple[int, ...]) -> Block:
    return Block(name, name, "other", {}, shape, shape, {})


def _lines(block: Block) -> list[tuple[str, str]]:
    """What stands in a box: text and class."""
    if block.path in ENDS:
        return [(f"{block.kind} {times(block.output_shape)}", "strong inside")]
    lines = [(f"{block.path} {block.title}", "strong inside")]
    lines += [(cut(text, LETTERS), "soft inside") for text in _wrapped(block.details)]
    lines += [(cut(f"<{name}> {times(shape)}", LETTERS), "soft inside") for name, shape in block.ops]
    lines.append((f"→ {times(block.output_shape)}", "inside"))
    if block.count:
        lines.append((block.count, "inside"))
    return lines


def _wrapped(text: str) -> list[str]:
    """The options of a layer in as few lines as they fit into."""
    lines: list[str] = []
    for part in filter(None, text.split(", ")):
        if lines and len(lines[-1]) + 2 + len(part) <= LETTERS:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _size(block: Block) -> tuple[float, float]:
    """The width and height of a layer's box."""
    lines = _lines(block)
    return max(130.0, *(width_of(text) + 2 * PADDING for text, _ in lines)), len(lines) * LINE + 14


def _chain(chain: Chain, start: Point, frame: Frame) -> Iterator[Html]:
    """A chain that begins at a point: its lines below, its items above."""
    for points in chain.lines:
        yield _path(points, start, frame)
    for item in chain.items:
        place = start[0] + item.along, start[1] + item.across
        yield from _group(item, item.chain, place, frame) if item.chain else [_box(item, place, frame)]


def _path(points: Iterable[Point], start: Point, frame: Frame, class_: str = "edge", tip: str | None = "tip") -> Html:
    return line((frame.point(start[0] + along, start[1] + across) for along, across in points), class_, tip)


def _box(item: Item, place: Point, frame: Frame) -> Html:
    """A layer: its name, options, shape and parameters, with a stripe in the colour of its family."""
    (x, y), (width, height) = frame.point(*place), frame.point(item.length, item.breadth)
    block = item.block
    round_ = height / 2 if block.path in ENDS else 5.0
    parts = [tag("title", f"{block.path} {block.title}: {block.details}" if block.details else block.title)]
    parts.append(tag("rect", width=width, height=height, rx=round_, class_="box"))
    if block.path not in ENDS:
        parts.append(tag("rect", x=0.5, y=0.5, width=STRIPE, height=height - 1, rx=2.0, class_=block.family))
    for index, (text, class_) in enumerate(_lines(block)):
        parts.append(words(PADDING, 19 + LINE * index, text, class_))
    return tag("g", *parts, transform=f"translate({x:.1f} {y:.1f})")


def _group(item: Item, chain: Chain, place: Point, frame: Frame) -> Iterator[Html]:
    """A container: a border with its name, the chain of its layers, and for a residual the way past them."""
    (x, y), (width, height) = frame.point(*place), frame.point(item.length, item.breadth)
    block = item.block
    yield tag("rect", x=x, y=y, width=width, height=height, rx=8.0, class_="group")
    start = place[0] + item.inner[0], place[1] + item.inner[1]
    (before, near), entry, exit_ = item.inner, item.entry, item.exit
    yield _path([(0, entry), (before, entry)], place, frame)
    last = item.inner[0] + chain.items[-1].along + chain.items[-1].length
    plus = item.inner[0] + chain.length + LANE
    if block.adds_input:
        lane = EDGE if frame.direction == "down" else near - LANE + 4
        fork = before - GAP / 2
        around = [(fork, entry), (fork, lane), (plus, lane), (plus, exit_ - PLUS)]
        yield _path(around, place, frame, "skip", "skip-tip")
        yield _path([(last, exit_), (plus - PLUS, exit_)], place, frame)
        yield _plus(frame.point(place[0] + plus, place[1] + exit_))
        last = plus + PLUS
    yield _path([(last, exit_), (item.length, exit_)], place, frame, tip=None)
    yield from _chain(chain, start, frame)
    name, count = name_of(block)
    yield words(x + 9, y + HEAD - 10, name, "strong inside")
    yield words(x + 9 + (entry if frame.direction == "down" else width_of(name) + 9), y + HEAD - 10, count, "inside")


def _plus(middle: tuple[float, float]) -> Html:
    x, y = middle
    sign = tag("path", d=f"M{x - 5:g} {y:g} H{x + 5:g} M{x:g} {y - 5:g} V{y + 5:g}", class_="skip")
    return tag("g", tag("title", "plus its input"), tag("circle", cx=x, cy=y, r=PLUS, class_="plus"), sign)


def _legend(families: Collection[str], y: float) -> Iterator[Html]:
    """What the stripes mean, of those that are there."""
    x = 0.0
    for family, meaning in FAMILIES.items():
        if family in families:
            yield tag("rect", x=x, y=y - 10, width=STRIPE, height=12, class_=family)
            yield words(x + 10, y, meaning, "soft")
            x += width_of(meaning) + 34
