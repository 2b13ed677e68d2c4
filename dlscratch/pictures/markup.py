"""HTML and SVG by functions: text becomes markup through `tag` alone, and always escaped.

`tag("td", "<b>", class_="name")` is `<td class="name">&lt;b&gt;</td>`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from dlscratch.pictures.text import harmless

VOID = ("br", "img", "meta")  # elements without an end


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(value: object) -> Html:
    """Markup that shows a value as text, with characters that nobody could see written out."""
    return value if isinstance(value, Html) else Html(html.escape(harmless(value)))


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other, escaped where they are not markup."""
    return Html("".join(map(escape, parts)))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element: `class_` is the attribute class, `aria_label` aria-label; None and False leave an attribute out."""
    shown = [
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(_text(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    ]
    start = f"<{name}{''.join(shown)}>"
    return Html(start if name in VOID else f"{start}{join(content)}</{name}>")


def _text(value: object) -> object:
    """Places in a picture need no more than a hundredth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def script_json(document: Any) -> Html:
    """A document as JSON that may stand in a <script>: `<`, `>` and `&` are written as \\u003c …"""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(text)
