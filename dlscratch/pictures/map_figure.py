"""The map of words for paper: a PNG or SVG by matplotlib."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.embedding_map import EmbeddingMap
from dlscratch.pictures.figures import drawable, image
from dlscratch.pictures.text import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DOTS_PER_INCH = (9, 7), 200
LABELS_TRIED = 1500
CHANGES = 30
LONGEST = 30  # letters of a label


def figure_of(shown: EmbeddingMap, kind: str) -> bytes:
    """The map as the bytes of a `png` or `svg` file, the same for the same map."""
    return image(kind, INCHES, shown.title, partial(_paint, shown, kind), DOTS_PER_INCH)


def _paint(shown: EmbeddingMap, kind: str, figure: Any) -> None:
    axes = figure.add_subplot()
    _draw_dots(axes, shown)
    figure.draw_without_rendering()  # which gives the dots their places: words must not lie over each other
    _draw_words(axes, shown, rim=kind == "png")  # a rim would make outlines of an SVG's text


def _draw_dots(axes: Axes, shown: EmbeddingMap) -> None:
    positions = shown.layout.positions
    size = float(np.clip(15000 / len(positions), 1.5, 20))
    for number, name in enumerate(shown.cluster_names):
        x, y = positions[shown.clusters == number].T
        label = drawable(", ".join(name))
        axes.scatter(x, y, size, COLOURS[number], linewidths=0, label=f" {label}", rasterized=len(positions) > 5000)
    if shown.positions_before is not None:
        for row in shown.moved[:CHANGES]:
            arrow = {"arrowstyle": "->", "color": "#444444", "linewidth": 0.6}
            axes.annotate("", positions[row], shown.positions_before[row], arrowprops=arrow)
    axes.set(title=drawable(shown.title), xlabel=shown.layout.axes[0], ylabel=shown.layout.axes[1])
    if not shown.layout.measured:
        axes.set(xticks=[], yticks=[])
    axes.legend(title="clusters", fontsize=7, markerscale=3, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_words(axes: Axes, shown: EmbeddingMap, *, rim: bool) -> None:
    """The words that moved most, then the most frequent, wherever there is room."""
    from matplotlib.patheffects import withStroke

    options: Any = {"fontsize": 7, "va": "center", "textcoords": "offset points"}
    options |= {"path_effects": [withStroke(linewidth=2, foreground="white")]} if rim else {}
    places, (start, end) = axes.transData.transform(shown.layout.positions), axes.bbox.get_points()
    taken: list[Array] = []
    for row in dict.fromkeys([*shown.moved[:CHANGES], *range(min(LABELS_TRIED, len(places)))]):
        text = cut(drawable(shown.vectors.words[row]), LONGEST)
        box = np.array([places[row] - (2, 12), places[row] + (10 + 14 * len(text), 14)])
        if not text.strip() or (box[0] < start).any() or (box[1] > end).any():  # it would cross the frame
            continue
        if any((box[0] < other[1]).all() and (other[0] < box[1]).all() for other in taken):
            continue
        taken.append(box)
        axes.annotate(text, shown.layout.positions[row], (3, 0), **options)
