"""Word vectors and what one asks of them: nearest words, analogies, similarity, the odd one out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlscratch.backend import Array, read_only
from dlscratch.errors import CheckpointError, DataError, ShapeError, UsageError
from dlscratch.word2vec import formats
from dlscratch.word2vec.formats import DecodeErrors, PathName, Table
from dlscratch.word2vec.search import METHODS, Method, Query, UnitVectors

SPELLINGS_SEARCHED = 100_000
SPELLINGS_COMPARED = 200


class Neighbour(NamedTuple):
    """A word and how well it answers: a cosine, or the score of 3CosMul."""

    word: str
    score: float


class WordVectors:
    """Words (in order of frequency, where that is known) and a float32 vector for each.

    `vectors` is (V, D); `output` is word2vec's second table; `counts` says how often each word occurs. DataError, with
    the word, for words that occur twice and for vectors with NaN or infinity; `source` is named in these errors.
    """

    def __init__(
        self,
        words: Iterable[str],
        vectors: Array,
        output: Array | None = None,
        counts: Array | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        source: object = "word vectors",
    ) -> None:
        self.words = tuple(words)
        self.vectors = _float32(vectors)
        self.output = None if output is None else _float32(output)
        self.counts = None if counts is None else read_only(np.ascontiguousarray(counts, dtype=np.int64))
        self.metadata = dict(metadata or {})
        self._check_shapes(source)
        self._rows = {word: row for row, word in enumerate(self.words)}
        self._check_content(source)
        self.units = UnitVectors(self.vectors)

    def _check_shapes(self, source: object) -> None:
        count = len(self.words)
        if not count:
            raise DataError(f"{source}: there are no words")
        if self.vectors.ndim != 2 or len(self.vectors) != count or not self.vectors.size:
            raise ShapeError(f"{source}: expected vectors of shape ({count}, dimensions), got {self.vectors.shape}")
        if self.output is not None and self.output.shape != self.vectors.shape:
            raise ShapeError(f"{source}: expected output of shape {self.vectors.shape}, got {self.output.shape}")
        if self.counts is not None and self.counts.shape != (count,):
            raise ShapeError(f"{source}: expected counts of shape ({count},), got {self.counts.shape}")

    def _check_content(self, source: object) -> None:
        if len(self._rows) < len(self.words):
            row, word = next((row, word) for row, word in enumerate(self.words) if self._rows[word] != row)
            again = self._rows[word] + 1
            raise DataError(f"{source}: the word {word!r} occurs twice, as number {row + 1} and number {again}")
        for table in (self.vectors, self.output):
            if table is not None and not np.isfinite(table).all():
                row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
                bad = table[row][~np.isfinite(table[row])][0]
                raise DataError(f"{source}: the vector of {self.words[row]!r} (number {row + 1}) has {bad} in it")

    @classmethod
    def load(cls, path: PathName, format: str | None = None, errors: DecodeErrors = "strict") -> WordVectors:
        """Read vectors of any format in FORMATS, told by the ending, or named.

        CheckpointError for an .npz that cannot be used, DataError for any other file, UsageError for an unknown ending.
        With errors="replace" bytes that are not UTF-8 become U+FFFD.
        """
        try:
            table = formats.read(path, format, errors)
            return cls(table.words, table.vectors, table.output, table.counts, table.metadata, source=path)
        except (DataError, ShapeError) as error:
            own = formats.format_of(path, format, reading=True) == "npz"
            raise (CheckpointError if own else DataError)(str(error)) from None

    def save(self, path: PathName, format: str | None = None) -> None:
        """Write vectors in any format of FORMATS. DataError for a word that the format cannot hold."""
        formats.write(path, self.table(), format)

    def table(self) -> Table:
        """The words and arrays, as formats write them."""
        return Table(list(self.words), self.vectors, self.output, self.counts, self.metadata)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def __getitem__(self, word: str) -> Array:
        """The vector of a word. UsageError, with the closest spellings, if there is none."""
        vector: Array = self.vectors[self.row(word)]
        return vector

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words, {self.vectors.shape[1]} dimensions)"

    def row(self, word: str) -> int:
        """The place of a word. UsageError, with the closest spellings, if there is none."""
        if word in self._rows:
            return self._rows[word]
        raise UsageError(f'no vector for "{word}"{self._hint(word)}')

    def similarity(self, a: str, b: str) -> float:
        """The cosine between two words."""
        return float(self.units.cosines([self.row(a)], [self.row(b)])[0, 0])

    def odd_one_out(self, words: Sequence[str]) -> str:
        """The word that is furthest from the mean direction of all of them."""
        rows = [self.row(word) for word in words]
        if len(rows) < 3:
            raise UsageError(f"the odd one out is asked of three words or more, got {len(rows)}")
        unit = self.units.exact(rows)
        return words[int((unit * unit.mean(axis=0)).sum(axis=1).argmin())]

    def nearest(
        self, positive: str | Sequence[str], negative: str | Sequence[str] = (), top: int = 10
    ) -> list[Neighbour]:
        """The words whose cosine with the sum of unit vectors, positive less negative, is greatest."""
        return self.nearest_batch([(positive, negative)], top)[0]

    def nearest_batch(
        self, queries: Iterable[tuple[str | Sequence[str], str | Sequence[str]]], top: int = 10
    ) -> list[list[Neighbour]]:
        """`nearest` for many pairs of positive and negative words at once, as matrix products."""
        return self._answers([self._query(_listed(plus), _listed(minus)) for plus, minus in queries], top, "3cosadd")

    def analogy(self, a: str, b: str, c: str, top: int = 10, method: Method = "3cosadd") -> list[Neighbour]:
        """What is to `c` as `b` is to `a`: man, king, woman → queen."""
        return self.analogy_batch([(a, b, c)], top, method)[0]

    def analogy_batch(
        self, questions: Iterable[tuple[str, str, str]], top: int = 10, method: Method = "3cosadd"
    ) -> list[list[Neighbour]]:
        """`analogy` for many questions (a, b, c) at once."""
        return self._answers([self._query([b, c], [a]) for a, b, c in questions], top, method)

    def _query(self, positive: list[str], negative: list[str]) -> Query:
        plus, minus = [self.row(word) for word in positive], [self.row(word) for word in negative]
        if not plus and not minus:
            raise UsageError("a query needs at least one word")
        return Query(plus, minus, plus + minus)

    def _answers(self, queries: list[Query], top: int, method: Method) -> list[list[Neighbour]]:
        if top < 1:
            raise UsageError(f"top must be at least 1, got {top}")
        if method not in METHODS:
            raise UsageError(f'no method "{method}"; there are {", ".join(METHODS)}')
        answers = []
        for query, (rows, scores) in zip(queries, self.units.search(queries, top, method), strict=True):
            scores = scores / self._length(query) if method == "3cosadd" else scores
            answers.append([Neighbour(self.words[row], float(score)) for row, score in zip(rows, scores, strict=True)])
        return answers

    def _length(self, query: Query) -> float:
        """The length of the sum of unit vectors, by which sums of cosines become cosines with that sum."""
        total = self.units.exact(query.positive).sum(axis=0) - self.units.exact(query.negative).sum(axis=0)
        return float(np.sqrt((total * total).sum())) or 1.0

    def _hint(self, word: str) -> str:
        """Another case of the word, or the closest spellings that exist."""
        for other in (word.lower(), word.capitalize(), word.upper()):
            if other in self._rows:
                return f'; there is "{other}": upper and lower case count'
        close = closest_spellings(word, self.words[:SPELLINGS_SEARCHED])
        return "; the closest spellings are " + ", ".join(f'"{other}"' for other in close) if close else ""


def _float32(array: Array) -> Array:
    """A read-only view in float32; what is too large becomes infinite, and is then refused with its word."""
    with np.errstate(over="ignore"):
        return read_only(np.ascontiguousarray(array, dtype=np.float32))


def closest_spellings(word: str, words: Sequence[str], top: int = 3) -> list[str]:
    """The words that are spelt most like one; pairs of letters choose those that are compared in full."""
    pairs = _letter_pairs(word)
    similar = [other for other in words if -3 < len(other) - len(word) < 3]
    common = [len(pairs & _letter_pairs(other)) for other in similar]
    order = np.argsort(-np.array(common, dtype=np.intp), kind="stable")[:SPELLINGS_COMPARED]
    matcher = difflib.SequenceMatcher(b=word)
    ratios = {}
    for number in sorted(order):  # equally close ones in the order of the vocabulary
        matcher.set_seq1(similar[number])
        ratios[similar[number]] = matcher.ratio()
    return [other for other in sorted(ratios, key=ratios.__getitem__, reverse=True)[:top] if ratios[other] >= 0.6]


def _letter_pairs(word: str) -> set[str]:
    bounded = f"^{word}$"
    return {bounded[start : start + 2] for start in range(len(bounded) - 1)}


def _listed(words: str | Sequence[str]) -> list[str]:
    return [words] if isinstance(words, str) else list(words)
