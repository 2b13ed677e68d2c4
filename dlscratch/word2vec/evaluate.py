"""How good word vectors are: rank correlation with people's judgements of similarity, and analogy questions.

Numbers equal gensim's `evaluate_word_pairs` and `evaluate_word_analogies` on the same vectors: words are compared in
upper case (of several cases the first row counts), pairs and questions with unknown words are left out, and only the
first `restrict_vocab` words are known and are answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlscratch.backend import Array, generator
from dlscratch.datasets.sources import existing_file, open_binary
from dlscratch.errors import DataError, UsageError
from dlscratch.word2vec.formats import PathName
from dlscratch.word2vec.search import METHODS, Method, Query
from dlscratch.word2vec.vectors import WordVectors

SYNTACTIC = "gram"  # sections of the Google set whose names begin so ask about grammar, the others about meaning
RESAMPLES = 1000


@dataclass(frozen=True)
class Similarity:
    """The result of one set of pairs. The interval holds 95% of bootstrap resamples; None: undefined (all equal)."""

    path: str
    pairs: int
    used: int
    unknown_words: tuple[str, ...]
    spearman: float | None
    low: float | None
    high: float | None
    pearson: float | None


@dataclass(frozen=True)
class Score:
    """A section of analogy questions: how many there are, how many have only known words, how many came out right."""

    name: str
    questions: int
    used: int
    correct: int

    @property
    def accuracy(self) -> float | None:
        """Correct of those used; None if none were."""
        return self.correct / self.used if self.used else None


@dataclass(frozen=True)
class Analogies:
    """The result of one set of questions; semantic and syntactic are None for sets that are not split like Google's."""

    path: str
    method: Method
    restrict_vocab: int
    sections: tuple[Score, ...]
    total: Score
    semantic: Score | None
    syntactic: Score | None


def evaluate_similarity(
    vectors: WordVectors,
    path: PathName,
    *,
    restrict_vocab: int | None = None,
    case_sensitive: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Similarity:
    """Spearman's correlation of cosines with the scores in a file of `word word score` lines.

    Fields are separated by tabs, commas or spaces, whichever the first line has; a first line whose score is no number
    is a header; lines that begin with # are comments. DataError, with the line, for others that do not fit.
    """
    rows = KnownWords(vectors, restrict_vocab, case_sensitive)
    pairs = list(_similarity_pairs(existing_file(Path(path))))
    if not pairs:
        raise DataError(f"{path}: holds no pairs; expected lines of two words and a score")
    known = [(rows[a], rows[b], score) for a, b, score in pairs if a in rows and b in rows]
    unknown = tuple(sorted({word for a, b, _ in pairs for word in (a, b) if word not in rows}))
    if not known:
        raise DataError(f"{path}: no pair has both words among the vectors; unknown are {', '.join(unknown[:3])} …")
    human = np.array([score for _, _, score in known])
    model = np.array([vectors.units.cosines([a], [b])[0, 0] for a, b, _ in known])
    low, high = _bootstrap(human, model, resamples, seed)
    spearman = correlation(ranks(human), ranks(model))
    return Similarity(str(path), len(pairs), len(known), unknown, spearman, low, high, correlation(human, model))


def evaluate_analogies(
    vectors: WordVectors,
    path: PathName,
    *,
    restrict_vocab: int = 30_000,
    method: Method = "3cosadd",
    case_sensitive: bool = False,
) -> Analogies:
    """The share of questions `a b c d` for which d is the best answer to "a is to b as c is to what".

    Lines that begin with a colon name sections, lines that begin with # are comments. The words of a question are no
    answers to it. DataError, with the line, for a question that is not of four words.
    """
    if method not in METHODS:
        raise UsageError(f'no method "{method}"; there are {", ".join(METHODS)}')
    rows = KnownWords(vectors, restrict_vocab, case_sensitive)
    sections = _analogy_sections(existing_file(Path(path)))
    if not any(sections.values()):
        raise DataError(f"{path}: holds no questions; expected lines of four words")
    known = {name: [line for line in lines if all(word in rows for word in line)] for name, lines in sections.items()}
    verdicts = _verdicts(vectors, rows, [line for lines in known.values() for line in lines], method)
    scores = tuple(
        Score(name, len(lines), len(known[name]), sum(next(verdicts) for _ in known[name]))
        for name, lines in sections.items()
    )
    syntactic = [score for score in scores if score.name.startswith(SYNTACTIC)]
    semantic = [score for score in scores if not score.name.startswith(SYNTACTIC)]
    split = bool(syntactic and semantic)
    return Analogies(
        str(path),
        method,
        rows.limit,
        scores,
        _sum("total", scores),
        _sum("semantic", semantic) if split else None,
        _sum("syntactic", syntactic) if split else None,
    )


def _verdicts(vectors: WordVectors, rows: KnownWords, lines: list[tuple[str, ...]], method: Method) -> Iterator[bool]:
    """Whether each question of known words is answered right."""
    queries = [
        Query([rows[b], rows[c]], [rows[a]], rows.variants(a) + rows.variants(b) + rows.variants(c))
        for a, b, c, _ in lines
    ]
    found = vectors.units.search(queries, 1, method, rows.limit)
    for line, (best, _) in zip(lines, found, strict=True):
        yield len(best) > 0 and int(best[0]) in rows.variants(line[3])


def _sum(name: str, scores: list[Score] | tuple[Score, ...]) -> Score:
    return Score(name, *(sum(getattr(s, field) for s in scores) for field in ("questions", "used", "correct")))


class KnownWords:
    """The first `limit` words by their upper case (or as they are)."""

    def __init__(self, vectors: WordVectors, limit: int | None, case_sensitive: bool) -> None:
        if limit is not None and limit < 1:
            raise UsageError(f"restrict_vocab must be at least 1, got {limit}")
        self.limit = len(vectors) if limit is None else min(limit, len(vectors))
        self._fold = str if case_sensitive else str.upper
        self._rows: dict[str, list[int]] = {}
        for row, word in enumerate(vectors.words[: self.limit]):
            self._rows.setdefault(self._fold(word), []).append(row)

    def __contains__(self, word: str) -> bool:
        return self._fold(word) in self._rows

    def __getitem__(self, word: str) -> int:
        return self._rows[self._fold(word)][0]

    def variants(self, word: str) -> list[int]:
        """The rows of all cases of a word."""
        return self._rows[self._fold(word)]


def ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    result: Array = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return result


def correlation(x: Array, y: Array) -> float | None:
    """Pearson's correlation; None if either side is all equal."""
    dx, dy = x - x.mean(), y - y.mean()
    scale = np.sqrt((dx @ dx) * (dy @ dy))
    return float(np.clip((dx @ dy) / scale, -1, 1)) if np.ptp(x) and np.ptp(y) else None


def _bootstrap(x: Array, y: Array, resamples: int, seed: int) -> tuple[float | None, float | None]:
    """The 2.5th and 97.5th percentile of Spearman's correlation over pairs drawn with replacement."""
    rng = generator(seed, "bootstrap")
    x, y = ranks(x), ranks(y)  # ranks of ranks are those of the values
    draws = (rng.integers(len(x), size=len(x)) for _ in range(resamples))
    values = [value for draw in draws if (value := correlation(ranks(x[draw]), ranks(y[draw]))) is not None]
    if not values:
        return None, None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _similarity_pairs(path: Path) -> Iterator[tuple[str, str, float]]:
    separator, first = None, True
    for number, line in content_lines(path):
        if first:
            separator = next((mark for mark in "\t," if mark in line), None)
        fields = [field.strip() for field in line.split(separator)]
        score = _number(fields[2]) if len(fields) > 2 else None
        if score is not None and fields[0] and fields[1]:
            yield fields[0], fields[1], score
        elif not first or len(fields) < 3:
            kind = {None: "spaces", "\t": "tabs", ",": "commas"}[separator]
            raise DataError(f"{path}:{number}: expected two words and a score, separated by {kind}, got {line[:60]!r}")
        first = False


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", text) else None


def _analogy_sections(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Questions by section; those before the first section are in one of the name of the file."""
    sections: dict[str, list[tuple[str, ...]]] = {}
    name = path.name
    for number, line in content_lines(path):
        words = tuple(line.split())
        if line.startswith(":"):
            name = line.removeprefix(":").strip()
            sections.setdefault(name, [])
        elif len(words) == 4:
            sections.setdefault(name, []).append(words)
        else:
            raise DataError(f"{path}:{number}: expected a question of four words, got {len(words)}: {line[:60]!r}")
    return sections


def content_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank and no comments, with their numbers."""
    with open_binary(path) as file:
        for number, data in enumerate(file, start=1):
            try:
                line = data.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: byte {error.start} is not UTF-8; convert the file") from None
            if line.strip() and not line.startswith("#"):
                yield number, line
