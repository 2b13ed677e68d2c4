"""The graph of a model as a page: layers that unfold to their options, ops and parameters, and all of it as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlscratch.pictures.graph import Block, Direction, Graph
from dlscratch.pictures.graph_svg import FAMILIES
from dlscratch.pictures.markup import Html, join, tag
from dlscratch.pictures.offline import page
from dlscratch.pictures.text import times

MANY = 40  # in a model of more layers, groups begin folded


def graph_page(graph: Graph, direction: Direction = "down") -> bytes:
    """The page, in one file."""
    leaves = sum(not block.inside for block in graph.root.all())
    buttons = [("unfold", "Unfold all"), ("fold", "Fold all"), ("turn", "Turn: → or ↓")]
    tools = [tag("button", text, type="button", id=name) for name, text in buttons]
    families = {block.family for block in graph.root.all() if not block.inside}
    legend = [tag("li", text, class_=name) for name, text in FAMILIES.items() if name in families]
    layers = [_block(block, leaves <= MANY) for block in graph.blocks]
    chain = [_end("input", graph.root.input_shape), *layers, _end("output", graph.root.output_shape)]
    body = [
        tag("header", tag("h1", graph.title), tag("p", graph.summary), tag("p", *tools, class_="tools", hidden=True)),
        tag("main", tag("ul", *legend, class_="legend"), tag("ol", *chain, class_=f"chain {direction}", id="graph")),
        tag("details", tag("summary", "As a table"), _table(graph), class_="all"),
    ]
    return page("graph", ["graph.js"], f"{graph.title}: graph", None, body=join(body))


def _end(name: str, shape: tuple[int, ...]) -> Html:
    return tag("li", tag("strong", name), " ", times(shape), class_="end")


def _block(block: Block, unfolded: bool) -> Html:
    """A layer, or a group with its chain inside: both unfold."""
    head = [tag("strong", f"{block.path} {block.kind}"), " ", tag("span", block.details, class_="options")]
    head += [" · " if block.details else " ", tag("span", f"→ {times(block.output_shape)}", class_="shape")]
    head += [" · ", tag("span", block.count, class_="count")] if block.count else []
    summary = tag("summary", *head)
    if not block.inside:
        return tag("li", tag("details", summary, *_facts(block)), class_=f"layer {block.family}")
    inside = [_block(each, unfolded) for each in block.inside]
    if block.adds_input:
        inside.append(tag("li", "+ its input", class_="plus"))
    group = tag("details", summary, tag("ol", *inside, class_="chain"), open=unfolded)
    return tag("li", group, class_="group residual" if block.adds_input else "group")


def _facts(block: Block) -> Iterator[Html]:
    """What a layer unfolds to."""
    rows = [("input", times(block.input_shape)), ("output", times(block.output_shape))]
    rows += [(name, str(value)) for name, value in block.options.items()]
    rows += [(f"parameter {name}", times(shape)) for name, shape in block.arrays.items()]
    rows += [(f"op {number}", f"<{name}> {times(shape)}") for number, (name, shape) in enumerate(block.ops, start=1)]
    yield tag("dl", *(part for name, value in rows for part in (tag("dt", name), tag("dd", value))))


def _table(graph: Graph) -> Html:
    """All layers with their facts, for readers of tables."""
    columns = ("layer", "kind", "options", "input", "output", "parameters", "ops")
    rows = (
        (block.path, block.kind, block.details, times(block.input_shape), times(block.output_shape),
         f"{block.parameters:,}", ", ".join(name for name, _ in block.ops))
        for block in graph.root.all() if block is not graph.root
    )  # fmt: skip
    head = tag("thead", _row("th", columns))
    caption = tag("caption", f"{graph.title}: {graph.summary}; shapes of one example")
    return tag("div", tag("table", caption, head, tag("tbody", *(_row("td", row) for row in rows))), class_="over")


def _row(cell: str, values: Iterable[object]) -> Html:
    return tag("tr", *(tag(cell, value, scope="col" if cell == "th" else None) for value in values))
