"""The map of words as a page: what its JavaScript is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.embedding_map import EmbeddingMap
from dlscratch.pictures.layouts import Tell
from dlscratch.pictures.offline import page
from dlscratch.pictures.packing import LETTERS, base64_text, pack

SCRIPTS = (
    *("map_space.js", "map_colours.js", "map_view.js", "map_labels.js", "map_draw.js"),
    *("map_input.js", "map_panel.js", "map.js"),
)


def page_of(shown: EmbeddingMap, tell: Tell) -> bytes:
    """One HTML file with all in it."""
    return page("map", SCRIPTS, shown.title, _document(shown, tell))


def _document(shown: EmbeddingMap, tell: Tell) -> dict[str, Any]:
    """Everything the page shows; arrays as the base64 of their little-endian bytes."""
    vectors = shown.vectors
    return {
        "title": shown.title,
        "total": shown.total,
        "method": shown.method,
        "axes": shown.layout.axes,
        "measured": shown.layout.measured,
        "words": vectors.words,
        "counts": None if vectors.counts is None else vectors.counts.tolist(),
        "positions": base64_text(shown.layout.positions.astype("<f4")),
        "clusters": base64_text(shown.clusters.astype(np.uint8)),
        "clusterNames": shown.cluster_names,
        "colours": COLOURS,
        "spaces": _spaces(shown, tell),
        "change": _change(shown),
    }


def _spaces(shown: EmbeddingMap, tell: Tell) -> list[dict[str, Any]]:
    """The vectors: of a change, those after and those before."""
    tables = [table.vectors for table in (shown.vectors, shown.before) if table is not None]
    letters = LETTERS // len(tables)
    return [pack(table, letters, lambda share: tell("neighbours", share)).document() for table in tables]


def _change(shown: EmbeddingMap) -> dict[str, Any] | None:
    """Where the words were before, and the cosine of each with what it was."""
    if shown.positions_before is None or shown.cosines is None:
        return None
    return {
        "positions": base64_text(shown.positions_before.astype("<f4")),
        "cosines": base64_text(shown.cosines.astype("<f4")),
        "moved": shown.moved[:100],
    }
