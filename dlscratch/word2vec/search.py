"""The best words for sums or products of cosines: float32 matrix products find the candidates, float64 decides.

A float32 cosine of unit vectors with D numbers is off by less than `(D + 4) · 2⁻²³`. Both objectives grow with every
positive cosine and fall with every negative one, so they lie between their values at cosines moved by that much. Only
words whose upper bound reaches the lower bound of the best are worth a second look, a row at a time in float64. So the
answer depends on the vectors alone, not on the number of queries at once, the BLAS or its threads, and words with
equal vectors come in the order of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from dlscratch.backend import Array

Method = Literal["3cosadd", "3cosmul"]
COSINES_AT_ONCE = 1 << 22
EPSILON = 1e-6


class Query(NamedTuple):
    """Rows that speak for a word, rows that speak against it, and rows that are no answer."""

    positive: list[int]
    negative: list[int]
    excluded: list[int]


class Objective(NamedTuple):
    """How the cosines of a word with those of a query are made a score: each is prepared, then all are combined."""

    prepare: Callable[[Array], Array]
    combine: Callable[[Sequence[Array], Sequence[Array]], Array]


def _as_they_are(cosines: Array) -> Array:
    return cosines


def _sum(positive: Sequence[Array], negative: Sequence[Array]) -> Array:
    """Σ p − Σ n: 3CosAdd of Mikolov et al. (2013)."""
    total = np.zeros_like([*positive, *negative][0])
    for row in positive:
        total += row
    for row in negative:
        total -= row
    return total


def _from_zero_to_one(cosines: Array) -> Array:
    return np.maximum((1 + cosines) / 2, 0)


def _quotient(positive: Sequence[Array], negative: Sequence[Array]) -> Array:
    """Π p / (Π n + 10⁻⁶): 3CosMul, equation 4 of Levy and Goldberg (2014), with their shift of cosines to [0, 1]."""
    gain = np.ones_like([*positive, *negative][0])
    loss = np.ones_like(gain)
    for row in positive:
        gain *= row
    for row in negative:
        loss *= row
    loss += EPSILON
    gain /= loss
    return gain


METHODS: dict[Method, Objective] = {
    "3cosadd": Objective(_as_they_are, _sum),
    "3cosmul": Objective(_from_zero_to_one, _quotient),
}


class UnitVectors:
    """Rows (V, D) of any length as unit vectors; a row of zeros stays one, and is like nothing."""

    def __init__(self, vectors: Array) -> None:
        self._vectors = vectors
        self.margin = np.float32((vectors.shape[1] + 4) * 2.0**-23)

    @cached_property
    def _lengths(self) -> Array:
        """|row| in float64, and 1 for a row of zeros."""
        lengths: Array = np.sqrt(np.einsum("ij,ij->i", self._vectors, self._vectors, dtype=np.float64))
        return np.where(lengths == 0, 1.0, lengths)

    @cached_property
    def rounded(self) -> Array:
        """All unit vectors in float32: as much memory again as the vectors take."""
        return np.divide(self._vectors, self._lengths[:, None], out=np.empty_like(self._vectors), casting="same_kind")

    def exact(self, rows: Sequence[int] | Array) -> Array:
        """The unit vectors of some rows in float64."""
        result: Array = self._vectors[rows].astype(np.float64) / self._lengths[rows, None]
        return result

    def cosines(self, rows: Sequence[int] | Array, others: Sequence[int] | Array) -> Array:
        """Cosines (others, rows) in float64, each the same whatever else is asked for at once."""
        x = self.exact(rows)
        return np.array([(x * y).sum(axis=1) for y in self.exact(others)]).reshape(len(others), len(rows))

    def search(
        self, queries: Sequence[Query], top: int, method: Method = "3cosadd", limit: int | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """For each query the `top` best of the first `limit` rows, and their scores, best first."""
        unit, objective = self.rounded[:limit], METHODS[method]
        for block, asked in _blocks(queries, COSINES_AT_ONCE // len(unit)):
            place = {row: number for number, row in enumerate(asked)}
            cosines = self.rounded[asked] @ unit.T
            low, high = objective.prepare(cosines - self.margin), objective.prepare(cosines + self.margin)
            for query in block:
                plus, minus = [place[row] for row in query.positive], [place[row] for row in query.negative]
                lower = objective.combine([low[n] for n in plus], [high[n] for n in minus])
                upper = objective.combine([high[n] for n in plus], [low[n] for n in minus])
                yield self._best(query, lower, upper, top, objective)

    def _best(self, query: Query, lower: Array, upper: Array, top: int, objective: Objective) -> tuple[Array, Array]:
        """The best rows of one query and their scores, given bounds of the scores of all."""
        excluded = [row for row in set(query.excluded) if row < len(lower)]
        lower[excluded] = upper[excluded] = -np.inf
        top = min(top, len(lower) - len(excluded))
        if top == 0:
            return np.empty(0, np.intp), np.empty(0)
        reached = lower.max() if top == 1 else np.partition(lower, -top)[-top]
        rows = np.flatnonzero(upper >= reached)
        cosines = [*objective.prepare(self.cosines(rows, query.positive + query.negative))]
        scores = objective.combine(cosines[: len(query.positive)], cosines[len(query.positive) :])
        order = np.argsort(-scores, kind="stable")[:top]
        return rows[order], scores[order]


def _blocks(queries: Sequence[Query], most: int) -> Iterator[tuple[list[Query], list[int]]]:
    """The queries in groups that ask about few rows between them, and these rows."""
    block: list[Query] = []
    asked: set[int] = set()
    for query in queries:
        rows = {*query.positive, *query.negative}
        if block and len(asked | rows) > most:
            yield block, sorted(asked)
            block, asked = [], set()
        block.append(query)
        asked |= rows
    if block:
        yield block, sorted(asked)
