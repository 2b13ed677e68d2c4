"""Figures by matplotlib: how every static picture is made and saved."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

from dlscratch.errors import MissingExtraError
from dlscratch.pictures.text import harmless

KINDS = (".png", ".svg", ".pdf")
FITTING = (b"<svg ", b'<svg style="max-width: 100%; height: auto" ')  # a screen that is less wide shows all of it
UNSEEN = re.compile("[\ud800-\udfff\ufffe\uffff]")  # what neither fonts nor XML know
SETTINGS: Any = {"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "dlscratch"}  # text stays text
FACTS: dict[str, dict[str, None]] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def image(
    kind: str, size: tuple[float, float], title: str, paint: Callable[[Any], None], dots_per_inch: int = 150
) -> bytes:
    """What `paint` draws on a Figure of so many inches, as a `png`, `svg` or `pdf`; the same drawing, the same bytes.

    The title goes into the file's metadata. MissingExtraError without matplotlib.
    """
    check_drawing()
    import matplotlib
    from matplotlib.figure import Figure

    file, facts = io.BytesIO(), {"Title": drawable(title), **FACTS[kind]}
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph|Matplotlib currently does not support")  # a box is drawn
        figure = Figure(size, dpi=dots_per_inch, layout="constrained")
        paint(figure)
        figure.savefig(file, format=kind, metadata=facts)
    return file.getvalue().replace(*FITTING, 1) if kind == "svg" else file.getvalue()


def check_drawing() -> None:
    """MissingExtraError without matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "drawing PNG, SVG and PDF") from None


def drawable(text: str) -> str:
    """Text that fonts and XML can hold: what cannot be seen is written out."""
    return UNSEEN.sub(lambda found: f"U+{ord(found.group()):04X}", harmless(text))
