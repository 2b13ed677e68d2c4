"""The vocabulary: words in order of frequency, how often to keep them, and how often to draw them as noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.errors import DataError


@dataclass(frozen=True)
class Vocabulary:
    """Words and how often each occurs in the corpus: most frequent first, equals in alphabetical order."""

    words: list[str]
    counts: Array  # (V,) int64

    def __len__(self) -> int:
        return len(self.words)

    def keep_probabilities(self, sample: float) -> Array:
        """(V + 1) float32: how likely an occurrence is kept; 1 for the end of a sentence, which has id V.

        √(t/f) + t/f, as in word2vec.c, with f the word's share of the corpus; t = 0 keeps everything.
        """
        t_by_f = sample * self.counts.sum() / self.counts
        keep = np.sqrt(t_by_f) + t_by_f if sample else np.ones(len(self))
        return np.append(np.minimum(keep, 1), 1).astype(np.float32)

    def noise(self, exponent: float) -> Noise:
        """The distribution of negative samples: in proportion to count^exponent (0.75 in word2vec)."""
        return Noise(self.counts.astype(np.float64) ** exponent)


@dataclass(frozen=True)
class Selection:
    """Which words become the vocabulary."""

    min_count: int = 5
    max_vocab: int | None = None
    stopwords: frozenset[str] = frozenset()

    def choose(self, counts: Mapping[str, int]) -> Vocabulary:
        """The words that occur often enough. DataError if that leaves fewer than two."""
        if not counts:
            raise DataError("the corpus holds no words; look at the file, or try the tokenizer `whitespace`")
        words = [word for word, n in counts.items() if n >= self.min_count and word not in self.stopwords]
        words.sort(key=lambda word: (-counts[word], word))
        words = words[: self.max_vocab]
        if len(words) < 2:
            raise DataError(self._too_few(words, counts))
        return Vocabulary(words, np.array([counts[word] for word in words], np.int64))

    def _too_few(self, words: list[str], counts: Mapping[str, int]) -> str:
        what = f'only one word, "{words[0]}", is' if words else "no word is"
        found = sorted((n for word, n in counts.items() if word not in self.stopwords), reverse=True)
        if len(found) < 2:
            hint = "a word is a run of letters, w7 is w, unless the tokenizer is whitespace"
            return f"{what} left of {len(counts)} different ones; vectors need at least two words to compare ({hint})"
        if self.max_vocab == 1:
            return f"{what} left with max_vocab 1; word vectors need at least two words to compare"
        proposal = max(1, min(found[1], 5) if found[1] < self.min_count else self.min_count)
        return (
            f"{what} left of {len(counts)} different ones with min_count {self.min_count}: the most frequent word "
            f"occurs {found[0]} times, the next {found[1]} times; try min_count {proposal}, or a larger corpus"
        )


class Noise:
    """Draws ids in proportion to weights, in constant time each, by Walker's alias method.

    Draw a bucket evenly; keep its own id with the bucket's probability, else take its alias. Buckets are filled as
    in Vose's algorithm: a word with less than an even share is topped up by one that has more, in one sweep over
    cumulative sums instead of a loop.
    """

    def __init__(self, weights: Array) -> None:
        share = weights * (len(weights) / weights.sum())
        even = min(1.0, share.max())  # which is 1 but for rounding
        small, large = np.flatnonzero(share < even), np.flatnonzero(share >= even)
        self.alias = np.arange(len(share), dtype=np.int32)
        lacking, spare = np.cumsum(1 - share[small]), np.cumsum(share[large] - 1)
        # A small bucket is topped up by the large word whose spare mass begins where its own lack begins,
        begin = np.concatenate([[0.0], lacking[:-1]])[: len(small)]
        self.alias[small] = large[np.minimum(np.searchsorted(spare, begin, side="right"), len(large) - 1)]
        # and a large word that gave more than it had to spare is topped up by the next large word.
        last = np.searchsorted(lacking, spare[:-1], side="right")
        gave = np.append(begin, np.inf)[last] < spare[:-1]
        share[large] = 1
        share[large[:-1][gave]] -= lacking[last[gave]] - spare[:-1][gave]
        self.alias[large[:-1][gave]] = large[1:][gave]
        self.own = share.astype(np.float32)

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """`count` ids (int32)."""
        bucket = rng.integers(0, len(self.own), count, dtype=np.int32)
        keep = rng.random(count, dtype=np.float32) < self.own[bucket]
        return np.where(keep, bucket, self.alias[bucket])


def read_stopwords(lines: Iterable[str]) -> frozenset[str]:
    """One word a line; empty lines and lines that begin with # do not count."""
    return frozenset(word for line in lines if (word := line.strip()) and not word.startswith("#"))
