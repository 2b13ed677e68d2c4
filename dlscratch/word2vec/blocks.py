"""Ids on the disk -> steps of blocks: subsampling, windows, and noise words, all drawn from the seed.

An epoch is cut into chunks, a chunk into steps, a step into blocks. A chunk is made of pages that lie evenly all over
the corpus, and its blocks are dealt out to its steps like cards: the words of one step come from everywhere, and few
rows are needed by many blocks at once. A chunk's random numbers depend on seed, epoch and chunk alone, so that training
can go on from any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dlscratch.backend import Array, generator
from dlscratch.word2vec.encoding import Encoded
from dlscratch.word2vec.scatter import occurrences
from dlscratch.word2vec.sgns import Block

PAGE = 8192  # ids; a sentence that goes on in the next page does not see across
CHUNK = 1 << 18  # ids


class Step(NamedTuple):
    """The blocks of one step, and where it stands."""

    centres: Array  # (B, T) rows of the input table
    rows: Array  # (B, M) rows of the output table
    codes: Array  # (B, T) rows of `Block.half_weights`
    centre_keys: Array  # the centres and
    row_keys: Array  # the rows as sorted occurrences
    chunk: int
    number: int  # within the chunk
    begin: float  # the share of the epoch that is over before it,
    end: float  # and after it

    def first(self, count: int) -> Step:
        """The step without its blocks from `count` on."""
        return self._replace(centres=self.centres[:count], rows=self.rows[:count], codes=self.codes[:count])


class Blocks:
    """The steps of a run, from an encoded corpus."""

    def __init__(
        self, encoded: Encoded, block: Block, sample: float, exponent: float, seed: int, tokens_per_step: int
    ) -> None:
        self.encoded, self.block, self.seed = encoded, block, seed
        self.keep = encoded.vocabulary.keep_probabilities(sample)
        self.noise = encoded.vocabulary.noise(exponent)
        self.per_step = max(1, round(tokens_per_step / block.centres))  # blocks
        self.pages = -(-encoded.training // PAGE)
        self.chunks = max(1, round(encoded.training / max(CHUNK, 2 * tokens_per_step)))

    def epoch(self, epoch: int, chunk: int = 0, number: int = 0) -> Iterator[Step]:
        """The steps of an epoch, from step `number` of a chunk on."""
        for at in range(chunk, self.chunks):
            rng = generator(self.seed, "blocks", epoch, at)
            for step in self._deal(self._chunk(at), rng, at):
                if at > chunk or step.number >= number:
                    yield step

    def held_out(self) -> Iterator[Step]:
        """Steps of the held-out sentences, the same each time; of the first chunk where none are held out."""
        encoded = self.encoded
        start, count = (encoded.training, encoded.held_out) if encoded.held_out else (0, min(CHUNK, encoded.training))
        rng = generator(self.seed, "held out")
        for at in range(0, count, CHUNK):
            yield from self._deal(encoded.read(start + at, min(CHUNK, count - at)), rng, 0)

    def _chunk(self, chunk: int) -> Array:
        """The ids of a chunk: every so many-th page of the corpus."""
        starts = range(chunk * PAGE, self.encoded.training, self.chunks * PAGE)
        pages = [self.encoded.read(start, min(PAGE, self.encoded.training - start)) for start in starts]
        return np.concatenate(pages)

    def _deal(self, ids: Array, rng: np.random.Generator, chunk: int) -> Iterator[Step]:
        block = self.block
        words, left, right = self._windows(ids, rng)
        blocks = -(-len(words) // block.centres)
        if not blocks:
            return
        padded = np.zeros(blocks * block.centres + 2 * block.window, np.int32)
        padded[block.window : block.window + len(words)] = words
        contexts = sliding_window_view(padded, block.contexts)[:: block.centres]
        noise = self.noise.draw(rng, blocks * block.noise).reshape(blocks, block.noise)
        codes = block.code(*(_in_blocks(x, blocks, block.centres) for x in (left, right)))
        steps = -(-blocks // self.per_step)
        for number in range(steps):
            mine = slice(number, None, steps)
            rows = np.concatenate([contexts[mine], noise[mine]], axis=1)
            centres = rows[:, block.window : block.window + block.centres]
            begin, end = ((chunk + n / steps) / self.chunks for n in (number, number + 1))
            keys = occurrences(centres), occurrences(rows)
            yield Step(centres, rows, codes[mine], *keys, chunk, number, begin, end)

    def _windows(self, ids: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """The words that are kept, and how many words each sees on either side in its sentence (all int32)."""
        window, end = self.block.window, len(self.keep) - 1
        ids = ids[rng.random(len(ids), dtype=np.float32) < self.keep[ids]]
        ends = np.append(np.flatnonzero(ids == end), len(ids))
        lengths = np.diff(ends, prepend=-1) - 1
        words = ids[ids != end].astype(np.int32)
        last = np.cumsum(lengths, dtype=np.int32)
        place = np.arange(len(words), dtype=np.int32)
        reach = rng.integers(1, window + 1, len(words), dtype=np.int32)
        left = np.minimum(place - np.repeat(last - lengths.astype(np.int32), lengths), reach)
        right = np.minimum(np.repeat(last - 1, lengths) - place, reach)
        return words, left, right


def _in_blocks(values: Array, blocks: int, size: int) -> Array:
    """Values cut into blocks; what is missing at the end is 0, a centre that sees nothing."""
    result = np.zeros(blocks * size, np.int32)
    result[: len(values)] = values
    return result.reshape(blocks, size)
