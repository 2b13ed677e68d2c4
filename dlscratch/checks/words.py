"""Two tables of word vectors against each other: which words both have, and how alike their vectors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.checks.rows import Row
from dlscratch.word2vec.formats import Table


@dataclass(frozen=True)
class Common:
    """The rows of the words that both tables have, in a's order, and what differs about the words."""

    a: Array
    b: Array
    rows: tuple[Row, ...]

    def arrays(self, a: Table, b: Table) -> tuple[dict[str, Array], dict[str, Array]]:
        """The arrays of both tables for these words; what a table does not have is left out."""
        return _arrays(a, self.a), _arrays(b, self.b)


def common(a: Sequence[str], b: Sequence[str]) -> Common:
    """Find the words that both have."""
    places = {word: row for row, word in enumerate(b)}
    pairs = [(row, places[word]) for row, word in enumerate(a) if word in places]
    own = set(a)
    alone = [word for word in a if word not in places], [word for word in b if word not in own]
    left, right = (np.array([pair[side] for pair in pairs], np.intp) for side in (0, 1))
    rows = [Row("words", len(a), len(b))] if len(a) != len(b) else []
    rows += [Row("words of one alone", *map(_listed, alone))] if any(alone) else []
    rows += [Row("order of the common words", "its own", "another")] if (np.diff(right) < 0).any() else []
    return Common(left, right, tuple(rows))


def mean_cosine(a: Array, b: Array) -> float | None:
    """The mean of the cosines between rows with the same number; None where there are none that could have one."""
    if a.shape != b.shape or not a.size:
        return None
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(np.einsum("ij,ij->i", a, b) / np.where(lengths == 0, 1, lengths)))


def _arrays(table: Table, rows: Array) -> dict[str, Array]:
    named = {"input": table.vectors, "output": table.output, "counts": table.counts}
    return {name: array[rows] for name, array in named.items() if array is not None}


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - 3:,} more" if len(words) > 3 else ""
    return ", ".join(words[:3]) + more if words else "none"
