"""The pieces that a report is made of: sections, tables, figures, numbers that keep all their digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from dlscratch.pictures.markup import Html, join, tag
from dlscratch.pictures.text import figure as figure_of

LONG = 30  # letters: where a name may be cut, or broken
NOTHING = tag("span", "–", class_="none")


def number(value: Any, name: str | None = None) -> Html:
    """A number with four significant digits; all of them are in its `value`, and `data-name` says which it is."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return Html("yes" if value else "no")
    shown = f"{value:,}" if isinstance(value, int) else figure_of(value)
    return tag("data", shown.replace("-", "−"), value=repr(value), data_name=name)


def cell(value: Any) -> Html:
    """A number, or text as it is."""
    return number(value) if value is None or isinstance(value, bool | int | float) else text(value)


def text(value: object) -> Html:
    """Text from data, kept apart from what stands around it, whatever its direction."""
    if isinstance(value, Html):
        return value
    return tag("bdi", value, title=value if len(str(value)) > LONG else None)


def section(name: str, title: str, *content: object) -> Html:
    """A part of the page, under a heading that the menu leads to."""
    return tag("section", tag("h2", title, id=name), *content, aria_labelledby=name)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str, *, row_heads: bool = False) -> Html:
    """A table that scrolls by itself where it is too wide; `row_heads` makes names of the first cells."""
    rows = list(rows)
    styles = [_style(column) for column in zip(*rows, strict=True)] or [None] * len(columns)
    styles[0] = None if row_heads else styles[0]
    head = tag("tr", *(tag("th", text(x), scope="col", class_=style) for x, style in zip(columns, styles, strict=True)))
    body = (
        tag("tr", *(_data(x, style, row_heads and not i) for i, (x, style) in enumerate(zip(row, styles, strict=True))))
        for row in rows
    )
    return scrolling(tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body)), caption)


def _data(value: Any, style: str | None, head: bool) -> Html:
    return tag("th" if head else "td", cell(value), scope="row" if head else None, class_=style)


def _style(column: Iterable[Any]) -> str | None:
    """Columns of numbers end at one line, those of cells from a file, too."""
    known = [value for value in column if value is not None]
    return "number" if known and all(map(_is_number, known)) else None


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, Html | bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def scrolling(content: Html, label: str) -> Html:
    """What may be wider than a phone: the keyboard can scroll it, too."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def figure(title: object, picture: Html, numbers: Html, *notes: object) -> Html:
    """A picture under its title, with its numbers as a table behind it."""
    behind = tag("details", tag("summary", "Numbers"), numbers)
    return tag("figure", tag("figcaption", title), picture, *notes, behind)


def legend(names: Sequence[str]) -> Html:
    """What each line is, with a piece of it, as a button that hides it; its name is also the class that draws it."""
    lines = (tag("path", class_=f"line {name}", d="M1 6H27") for name in names)
    pieces = (tag("svg", line, viewBox="0 0 28 12", aria_hidden="true") for line in lines)
    entries = (
        tag("li", tag("button", piece, name, type="button", value=name, aria_pressed="true"))
        for piece, name in zip(pieces, names, strict=True)
    )
    return tag("ul", *entries, class_="legend")


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and what they stand for."""
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in pairs))
