"""The map of words for paper: a PNG or SVG by matplotlib."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.errors import MissingExtraError
from dlscratch.pictures.embedding_map import EmbeddingMap
from dlscratch.pictures.markup import HIDDEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8d7fd1", "#8a8f98")  # Okabe and Ito
UNSEEN = re.compile("[\ud800-\udfff\ufffe\uffff]")  # what neither fonts nor XML know
INCHES, DOTS_PER_INCH = (9, 7), 200
LABELS_TRIED = 1500
CHANGES = 30
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "dlscratch", "font.size": 9, "axes.unicode_minus": False}


def figure_of(shown: EmbeddingMap, kind: str) -> bytes:
    """The map as the bytes of a `png` or `svg` file, the same for the same map."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patheffects import withStroke
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "A map as PNG or SVG") from None

    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph|Matplotlib currently does not support")  # a box is drawn
        figure = Figure(INCHES, dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _draw_dots(axes, shown)
        figure.draw_without_rendering()
        rim = [withStroke(linewidth=2, foreground="white")] if kind == "png" else []  # would make outlines of SVG text
        _draw_words(axes, shown, rim)
        file = io.BytesIO()
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return file.getvalue()


def _draw_dots(axes: Axes, shown: EmbeddingMap) -> None:
    positions = shown.layout.positions
    size = float(np.clip(15000 / len(positions), 1.5, 20))
    for number, name in enumerate(shown.cluster_names):
        x, y = positions[shown.clusters == number].T
        label = _text(", ".join(name))
        axes.scatter(x, y, size, COLOURS[number], linewidths=0, label=f" {label}", rasterized=len(positions) > 5000)
    if shown.positions_before is not None:
        for row in shown.moved[:CHANGES]:
            arrow = {"arrowstyle": "->", "color": "#444444", "linewidth": 0.6}
            axes.annotate("", positions[row], shown.positions_before[row], arrowprops=arrow)
    axes.set(title=_text(shown.title), xlabel=shown.layout.axes[0], ylabel=shown.layout.axes[1])
    axes.title.set_parse_math(False)
    if not shown.layout.measured:
        axes.set(xticks=[], yticks=[])
    legend = axes.legend(title="clusters", fontsize=7, markerscale=3, loc="upper left", bbox_to_anchor=(1, 1))
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_words(axes: Axes, shown: EmbeddingMap, rim: list[Any]) -> None:
    """The words that moved most, then the most frequent, wherever there is room."""
    places = axes.transData.transform(shown.layout.positions)
    taken: list[Array] = []
    for row in dict.fromkeys([*shown.moved[:CHANGES], *range(min(LABELS_TRIED, len(places)))]):
        text = _text(shown.vectors.words[row])
        box = np.array([places[row] - (2, 12), places[row] + (10 + 14 * len(text), 14)])
        if not text.strip() or any((box[0] < other[1]).all() and (other[0] < box[1]).all() for other in taken):
            continue
        taken.append(box)
        options: dict[str, Any] = {"fontsize": 7, "va": "center", "parse_math": False, "path_effects": rim}
        axes.annotate(text, shown.layout.positions[row], (3, 0), textcoords="offset points", **options)


def _text(text: str) -> str:
    """Text as it may be drawn: what cannot be seen is written out."""
    written = HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
    return UNSEEN.sub(lambda found: f"U+{ord(found.group()):04X}", written)
