"""A map of words: where each lies, what it belongs to, and, for two sets of vectors, how far it has moved."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch.backend import Array, limit_threads
from dlscratch.checkpoint import atomic_write
from dlscratch.errors import DataError, UsageError
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.endings import ending_of
from dlscratch.pictures.layouts import Layout, Method, Tell, lay_out, silent
from dlscratch.pictures.projection import kmeans, procrustes, units
from dlscratch.word2vec.vectors import WordVectors

MOST_WORDS = 50_000
CLUSTERS = len(COLOURS)
NAMED_BY = 3
UNMOVED = 1 - 1e-6  # the cosine of a word with itself, at least
ENDINGS = (".html", ".png", ".svg", ".json", ".csv")


@dataclass(frozen=True)
class EmbeddingMap:
    """Words in the order of their frequency, and for each its vector, position (V, 2), cluster, and where it was.

    `cosines` are those of a word's two vectors after the alignment: the lower, the further it has moved.
    """

    title: str
    method: Method
    layout: Layout
    vectors: WordVectors
    clusters: Array
    cluster_names: tuple[tuple[str, ...], ...]
    total: int
    before: WordVectors | None = None
    positions_before: Array | None = None
    cosines: Array | None = None

    @cached_property
    def moved(self) -> list[int]:
        """The rows from the one that moved most to the one that moved least; none for a single set of vectors."""
        return [] if self.cosines is None else np.argsort(self.cosines, kind="stable").tolist()

    @property
    def stayed(self) -> bool:
        """Whether no word is anywhere else than before, but for rounding."""
        return self.cosines is not None and bool(self.cosines.min() > UNMOVED)

    def rows(self) -> Iterator[dict[str, Any]]:
        """What the map shows of each word."""
        columns: dict[str, Any] = {"word": self.vectors.words}
        if self.vectors.counts is not None:
            columns["count"] = self.vectors.counts.tolist()
        columns["x"], columns["y"] = self.layout.positions.T.tolist()
        columns["cluster"] = self.clusters.tolist()
        if self.positions_before is not None and self.cosines is not None:
            columns["x_before"], columns["y_before"] = self.positions_before.T.tolist()
            columns["cosine"] = self.cosines.tolist()
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))

    def save(self, path: Path, tell: Tell = silent) -> None:
        """Write the map as a page, a picture, or its data, by the ending. OutputError if it cannot be written."""
        content = self.content(ending_of(path, ENDINGS), tell)
        with atomic_write(path) as file:
            file.write(content)

    def content(self, ending: str, tell: Tell = silent) -> bytes:
        """What a file with one of the ENDINGS holds."""
        if ending == ".html":
            from dlscratch.pictures.map_page import page_of

            return page_of(self, tell)
        if ending in (".png", ".svg"):
            from dlscratch.pictures.map_figure import figure_of

            return figure_of(self, ending[1:])
        return (self._json() if ending == ".json" else self._csv()).encode("utf-8", "backslashreplace")

    def _json(self) -> str:
        head = {"title": self.title, "method": self.method, "axes": self.layout.axes, "clusters": self.cluster_names}
        return json.dumps({**head, "words": list(self.rows())}, ensure_ascii=False, indent=1) + "\n"

    def _csv(self) -> str:
        text = io.StringIO()
        rows = list(self.rows())
        table = csv.DictWriter(text, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        return text.getvalue()


def map_words(
    vectors: WordVectors,
    *,
    title: str,
    method: Method = "pca",
    words: int = MOST_WORDS,
    clusters: int = CLUSTERS,
    seed: int = 0,
    tell: Tell = silent,
) -> EmbeddingMap:
    """The map of the first words of one set of vectors."""
    shown = _first(vectors, vectors.words[: _limit(words)])
    unit = units(shown.vectors)
    layout = lay_out(unit, method, seed, tell)
    labels, names = _clusters(unit, shown.words, clusters, seed, tell)
    return EmbeddingMap(title, method, layout, shown, labels, names, len(vectors))


def map_changes(
    before: WordVectors,
    after: WordVectors,
    *,
    title: str,
    method: Method = "pca",
    words: int = MOST_WORDS,
    clusters: int = CLUSTERS,
    seed: int = 0,
    tell: Tell = silent,
) -> EmbeddingMap:
    """The map of the words that two sets of vectors share: the first is turned onto the second, then both are laid out.

    DataError if they share fewer than two words.
    """
    common = tuple(word for word in after.words if word in before)[: _limit(words)]
    if len(common) < 2:
        raise DataError(f"{title}: the two files share {len(common)} words; a map of what moved needs two or more")
    old, new = _first(before, common), _first(after, common)
    x, y = _padded(units(old.vectors), units(new.vectors))
    x = x @ procrustes(x, y)
    both = lay_out(np.concatenate([y, x]), method, seed, tell)
    positions, positions_before = np.split(both.positions, 2)
    labels, names = _clusters(y, common, clusters, seed, tell)
    cosines = np.einsum("ij,ij->i", x, y)
    layout = both._replace(positions=positions)
    return EmbeddingMap(title, method, layout, new, labels, names, len(after), old, positions_before, cosines)


def _limit(words: int) -> int:
    if not 2 <= words <= MOST_WORDS:
        raise UsageError(f"a map shows from 2 to {MOST_WORDS:,} words, not {words:,}")
    return words


def _first(vectors: WordVectors, words: tuple[str, ...]) -> WordVectors:
    """The vectors of some of the words, in their order."""
    rows = [vectors.row(word) for word in words]
    counts = None if vectors.counts is None else vectors.counts[rows]
    return WordVectors(words, vectors.vectors[rows], counts=counts)


def _padded(*tables: Array) -> list[Array]:
    """Rows with as many numbers as the longest, by zeros at the end, which leave angles as they are."""
    dim = max(table.shape[1] for table in tables)
    return [np.pad(table, ((0, 0), (0, dim - table.shape[1]))) for table in tables]


def _clusters(
    unit: Array, words: tuple[str, ...], clusters: int, seed: int, tell: Tell
) -> tuple[Array, tuple[tuple[str, ...], ...]]:
    """The cluster of each word, and the clusters' names: of their most frequent tenth, the words nearest the middle."""
    if not 1 <= clusters <= CLUSTERS:
        raise UsageError(f"a map shows from 1 to {CLUSTERS} clusters, each with a colour, not {clusters}")
    tell("clusters", None)
    with limit_threads(1):  # products this thin wait for threads longer than they take
        labels, centres = kmeans(unit, clusters, seed)
    names = []
    for number, centre in enumerate(centres):
        members = np.flatnonzero(labels == number)
        frequent = members[: max(NAMED_BY, len(members) // 10)]
        closest = frequent[np.argsort(-(unit[frequent] @ centre), kind="stable")]
        names.append(tuple(words[row] for row in closest[:NAMED_BY]))
    return labels, tuple(names)
