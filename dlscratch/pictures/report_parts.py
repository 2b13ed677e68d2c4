"""The pieces that a report is made of: sections, tables, figures, numbers that keep all their digits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dlscratch.pictures.markup import Html, join, tag
from dlscratch.pictures.text import figure as figure_of

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
    return value if isinstance(value, Html) else tag("bdi", value)


def section(name: str, title: str, *content: object) -> Html:
    """A part of the page, under a heading that the menu leads to."""
    return tag("section", tag("h2", title, id=name), *content, aria_labelledby=name)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str, *, row_heads: bool = False) -> Html:
    """A table that scrolls by itself where it is too wide; `row_heads` makes names of the first cells."""
    rows = list(rows)
    first = rows[0] if rows else [""] * len(columns)
    head = tag("tr", *(tag("th", text(x), scope="col", class_=_style(y)) for x, y in zip(columns, first, strict=True)))
    body = (
        tag("tr", *(tag("th", cell(x), scope="row") if row_heads and not i else _data(x) for i, x in enumerate(row)))
        for row in rows
    )
    return scrolling(tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body)), caption)


def _data(value: Any) -> Html:
    return tag("td", cell(value), class_=_style(value))


def _style(value: Any) -> str | None:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else None


def scrolling(content: Html, label: str) -> Html:
    """What may be wider than a phone: the keyboard can scroll it, too."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def figure(title: object, picture: Html, numbers: Html, *notes: object) -> Html:
    """A picture under its title, with its numbers as a table behind it."""
    behind = tag("details", tag("summary", "Numbers"), numbers)
    return tag("figure", tag("figcaption", title), picture, *notes, behind)


def legend(names: Sequence[str]) -> Html:
    """What each line is, with a piece of it; its name is also the class that draws it."""
    lines = (tag("path", class_=f"line {name}", d="M1 6H27") for name in names)
    pieces = (tag("svg", line, viewBox="0 0 28 12", aria_hidden="true") for line in lines)
    return tag("ul", *(tag("li", *entry) for entry in zip(pieces, names, strict=True)), class_="legend")


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and what they stand for."""
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in pairs))
