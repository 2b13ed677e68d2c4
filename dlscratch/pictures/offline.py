"""Pages that work offline: one file, made of the HTML, CSS and JavaScript in page/ and a JSON document.

The page's policy allows the one style and the one script whose SHA-256 it names, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib import resources
from typing import Any

from dlscratch.pictures.markup import Html, escape, script_json

PLACE = re.compile(r"\{\{(\w+)\}\}")


def page(
    name: str, scripts: Iterable[str], title: str, document: Any, *, images: bool = False, **content: Html
) -> bytes:
    """page/NAME.html with its style, its scripts (files of page/, run as one), its data, and content for its places.

    `images` allows pictures that are in the page itself, as data: addresses.
    """
    style = _text(f"{name}.css")
    script = "".join(['"use strict";\n(() => {\n', *map(_text, scripts), "})();\n"])
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        f"{'img-src data:; ' if images else ''}base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": escape(title),
        "style": style,
        "data": script_json(document),
        "script": script,
        **content,
    }
    # Half of a surrogate pair, which UTF-8 has not, becomes \ud800: an escape that JSON knows.
    return PLACE.sub(lambda place: parts[place[1]], _text(f"{name}.html")).encode("utf-8", "backslashreplace")


def _text(name: str) -> str:
    return (resources.files("dlscratch.pictures") / "page" / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """A script or style, as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
