"""What our SVG pictures share: the frame with its title, the colours for light and dark, and text in boxes.

Letters are of one width, so that a text's width is known without a browser. Colour-blind readers can tell the colours
apart (a test reckons what they see), and no meaning hangs on a colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from dlscratch.pictures.markup import Html, join, tag

LETTER = 7.23  # pixels, at 12 pixels' size
LINE = 16.0
MARGIN = 24.0

STYLE = """
svg { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #8c959f; --box: #f6f8fa; --flow: #b34700;
  --weights: #0072b2; --normalization: #9048f0; --activation: #d98c00; --other: #6e7781; --group: #8c959f22;
  font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #14181d; --ink: #e6edf3; --soft: #9da7b3; --line: #6e7781; --box: #20262d; --flow: #ff9e5e;
    --weights: #56b4e9; --normalization: #b388ff; --activation: #f0b429; --other: #9da7b3; --group: #8c959f1c; }
}
.paper { fill: var(--paper); }
text { fill: var(--ink); white-space: pre; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.inside { stroke: none; }
.soft { fill: var(--soft); }
.strong { font-weight: 600; }
.title { font-size: 15px; font-weight: 600; }
.flow { fill: var(--flow); }
.box { fill: var(--box); stroke: var(--line); }
.group { fill: var(--group); stroke: var(--line); stroke-dasharray: 4 3; }
.edge { fill: none; stroke: var(--line); stroke-width: 1.5; }
.skip { fill: none; stroke: var(--flow); stroke-width: 1.5; }
.plus { fill: var(--paper); stroke: var(--flow); stroke-width: 1.5; }
.tip { fill: var(--line); }
.skip-tip { fill: var(--flow); }
.weights { fill: var(--weights); } .normalization { fill: var(--normalization); }
.activation { fill: var(--activation); } .other { fill: var(--other); }
"""


def picture(width: float, height: float, title: str, description: str, *content: object) -> Html:
    """A whole SVG file: the content, a heading's height below the top, with a title and a description for readers."""
    width, height = max(width, len(title) * 9.1) + 2 * MARGIN, height + 2 * MARGIN + 28
    svg = tag(
        "svg",
        tag("title", title, id="title"),
        tag("desc", description, id="description"),
        tag("style", Html(STYLE)),
        tag("defs", _tip("tip"), _tip("skip-tip")),
        tag("rect", width=width, height=height, class_="paper"),
        words(MARGIN, MARGIN + 12, title, "title"),
        tag("g", *content, transform=f"translate({MARGIN:g} {MARGIN + 28:g})"),
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_labelledby="title",
        aria_describedby="description",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
    )
    return join([svg, Html("\n")])


def _tip(name: str) -> Html:
    """The head of an arrow."""
    path = tag("path", d="M0 0 L7 3.5 L0 7 z", class_=name)
    return tag(
        "marker", path, id=name, markerWidth="7", markerHeight="7", refX="6.5", refY="3.5", orient="auto",
        markerUnits="userSpaceOnUse",
    )  # fmt: skip


def words(x: float, y: float, text: object, class_: str | None = None, anchor: str | None = None) -> Html:
    """A line of text, its foot at y."""
    return tag("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def line(points: Iterable[tuple[float, float]], class_: str = "edge", tip: str | None = "tip") -> Html:
    """Straight lines from point to point, with an arrow's head at the end."""
    path = " ".join(f"{'L' if index else 'M'}{x:g} {y:g}" for index, (x, y) in enumerate(points))
    return tag("path", d=path, class_=class_, marker_end=tip and f"url(#{tip})")


def width_of(text: str) -> float:
    """The pixels that a text takes."""
    return len(text) * LETTER
