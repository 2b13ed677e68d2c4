"""Training word vectors: gather rows, kernel, scatter; a generator of records, with the same bits for any threads.

A step has two phases. First the blocks' gradients are computed, all at the same weights, by jobs of a few blocks each;
then each table's rows move, by jobs of some rows each. What a job computes does not depend on who does it or when, so
threads change the time and nothing else.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch.backend import Array, generator, limit_threads
from dlscratch.checkpoint import sha256
from dlscratch.crew import Crew, Job
from dlscratch.errors import CheckpointError, DivergedError
from dlscratch.word2vec.blocks import Blocks, Step
from dlscratch.word2vec.encoding import Encoded
from dlscratch.word2vec.formats.arrays import write_npz
from dlscratch.word2vec.formats.table import Table
from dlscratch.word2vec.options import Word2VecOptions
from dlscratch.word2vec.prefetch import prefetch
from dlscratch.word2vec.scatter import Room, descend, share
from dlscratch.word2vec.sgns import Block, Gradients, gradients, losses

CENTRES, NOISE = 32, 24  # in a block
BLOCKS_PER_JOB = 64  # fewer would fit the cache better, but more calls make threads wait for each other
PARTS = 2  # of a table, that can move at the same time
LEAST_TOKENS_PER_STEP, MOST_TOKENS_PER_STEP = 240, 8192
STEPS_PER_EPOCH = 64  # at least, where the corpus allows it
LEAST_LR = 1e-4  # as a share of the lr at the start
STEPS_PER_LOSS, BLOCKS_PER_LOSS = 50, 16


@dataclass(frozen=True)
class Progress:
    """How far training is, after a step."""

    epoch: int  # from 1
    words: int  # of the corpus, in all epochs so far
    words_per_second: float
    lr: float
    loss: float | None  # of a pair, on some blocks lately, before they were trained on; None: they held no pair


@dataclass(frozen=True)
class Epoch(Progress):
    """The end of an epoch; the loss is that of a pair in the held-out sentences, in float64, or None: no pair is left.

    Subsampling leaves none of a text with few different words: each of them is frequent.
    """


class Trainer:
    """Two tables of vectors, and how they are trained on an encoded corpus.

    `state()` after any record is all that `restore()` needs to go on with the same bits.
    """

    def __init__(self, encoded: Encoded, options: Word2VecOptions, tokens_per_step: int | None = None) -> None:
        self.encoded, self.options = encoded, options
        self.block = Block(CENTRES, options.window, NOISE, options.negative)
        tokens = tokens_per_step or options.tokens_per_step or suitable_tokens_per_step(encoded.training)
        self.blocks = Blocks(encoded, self.block, options.sample, options.noise_exponent, options.seed, tokens)
        V, D = len(encoded.vocabulary), options.dim
        rng = generator(options.seed, "input table")
        self.input = (rng.random((V, D), dtype=np.float32) - np.float32(0.5)) / np.float32(D)
        self.output = np.zeros((V, D), np.float32)
        self.epoch, self.chunk, self.number = 0, 0, 0  # the next step
        self.loss: float | None = None
        self._halves, self._signs = self.block.half_weights(), self.block.signs()
        self._room = Room()
        self._found = Gradients.empty(self.blocks.per_step, CENTRES, rows=self.block.rows, dim=D)

    def run(self, threads: int = 1) -> Iterator[Progress | Epoch]:
        """Train to the end, from the start or from where `restore` put it: a record after each step and each epoch.

        DivergedError if the held-out loss is not finite. BLAS is held to one thread meanwhile: the crew has the others.
        """
        begin, busy = self._words(self.chunk / self.blocks.chunks), 0.0
        with limit_threads(1), Crew(threads) as crew:
            clock = time.perf_counter()
            while self.epoch < self.options.epochs:
                steps = self.blocks.epoch(self.epoch, self.chunk, self.number)
                for step in prefetch(steps, 8) if threads > 1 else steps:
                    lr = self._lr(step.begin)
                    self.step(step, lr, crew)
                    words, busy = self._words(step.end), busy + time.perf_counter() - clock
                    yield Progress(self.epoch + 1, words, (words - begin) / busy, lr, self.loss)
                    clock = time.perf_counter()
                self.epoch, self.chunk, self.number = self.epoch + 1, 0, 0
                loss = self.held_out_loss()
                words, busy = self._words(0), busy + time.perf_counter() - clock
                yield Epoch(self.epoch, words, (words - begin) / busy, self._lr(0), loss)
                clock = time.perf_counter()

    def step(self, step: Step, lr: float, crew: Crew) -> None:
        """One step: all gradients at the same weights, then all rows."""
        if step.number % STEPS_PER_LOSS == 0:
            self.loss = self._mean_loss([step.first(BLOCKS_PER_LOSS)])
        count = len(step.centres)
        jobs = -(-count // BLOCKS_PER_JOB)
        ends = [count * n // jobs for n in range(jobs + 1)]
        crew.run([partial(self._find, step, slice(*pair)) for pair in itertools.pairwise(ends)])
        found = Gradients(*(x[:count] for x in self._found))
        crew.run([
            *self._moves(self.output, step.row_keys, found.R, found.h_r, lr),
            *self._moves(self.input, step.centre_keys, found.C, found.h_c, lr),
        ])
        self.chunk, self.number = step.chunk, step.number + 1

    def _find(self, step: Step, mine: slice) -> None:
        """The gradients of some blocks of a step."""
        centres, rows, D = step.centres[mine], step.rows[mine], self.options.dim
        C = np.take(self.input, centres, axis=0, out=self._room.get("C", *centres.shape, D), mode="clip")
        R = np.take(self.output, rows, axis=0, out=self._room.get("R", *rows.shape, D), mode="clip")
        shape = *centres.shape, rows.shape[1]
        halves = np.take(self._halves, step.codes[mine], axis=0, out=self._room.get("halves", *shape), mode="clip")
        out = Gradients(*(x[mine] for x in self._found))
        gradients(C, R, halves, self._signs, out, self._room.get("S", *shape), self._room.get("G", *shape))

    def _moves(self, table: Array, keys: Array, d: Array, bound: Array, lr: float) -> list[Job]:
        flat = d.reshape(-1, d.shape[-1]), bound.reshape(-1)
        shares = (share(keys, part, PARTS) for part in range(PARTS))
        return [partial(descend, table, mine, *flat, lr, self._room) for mine in shares]

    def held_out_loss(self) -> float | None:
        """The mean loss of a pair in the held-out sentences (in some that are trained on, where there are none)."""
        loss = self._mean_loss(self.blocks.held_out())
        if loss is not None and not np.isfinite(loss):
            raise DivergedError(
                f"epoch {self.epoch}: the held-out loss is {loss}; try a smaller lr than {self.options.lr:g}, or fewer "
                "tokens_per_step"
            )
        return loss

    def _mean_loss(self, steps: Iterable[Step]) -> float | None:
        total, pairs = 0.0, 0.0
        for step in steps:
            for i in range(0, len(step.centres), BLOCKS_PER_JOB):
                mine = slice(i, i + BLOCKS_PER_JOB)
                halves = self._halves[step.codes[mine]]
                C, R = (x.astype(np.float64) for x in (self.input[step.centres[mine]], self.output[step.rows[mine]]))
                with np.errstate(invalid="ignore", over="ignore"):  # the caller looks at the result
                    total += float(losses(C, R, halves, self._signs).sum())
                pairs += 2 * float(halves[..., : self.block.contexts].sum())
        return total / pairs if pairs else None

    @property
    def kept(self) -> float:
        """The share of the words that subsampling leaves."""
        counts = self.encoded.vocabulary.counts
        return float(self.blocks.keep[:-1] @ counts) / max(1, int(counts.sum()))

    def _lr(self, begin: float) -> float:
        return self.options.lr * max(1 - (self.epoch + begin) / self.options.epochs, LEAST_LR)

    def _words(self, share: float) -> int:
        return round((self.epoch + share) * self.encoded.report.words)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The tables and where training stands: arrays, and facts fit for JSON."""
        facts = {"epoch": self.epoch, "chunk": self.chunk, "number": self.number, "loss": self.loss}
        return {"input": self.input, "output": self.output}, {**facts, **self._identity()}

    def restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Go on from a state. CheckpointError if it is of another corpus, or of other options."""
        for name, mine in self._identity().items():
            if facts.get(name) != mine:
                was = facts.get(name)
                raise CheckpointError(f"cannot go on: the run was started with another {name}: {was}, now {mine}")
        for name in ("input", "output"):
            getattr(self, name)[...] = arrays[name]
        self.epoch, self.chunk, self.number, self.loss = (facts[name] for name in ("epoch", "chunk", "number", "loss"))

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        return {"corpus": self.encoded.fingerprint, "recipe": self.encoded.recipe, "options": asdict(self.options)}

    def table(self) -> Table:
        """The words and vectors, with what a reader may want to know of them."""
        vocabulary = self.encoded.vocabulary
        facts = {
            "options": asdict(self.options),
            "dim": self.options.dim,
            "vocabulary": len(vocabulary),
            "corpus": {"fingerprint": self.encoded.fingerprint, **asdict(self.encoded.report)},
            "vectors_sha256": sha256(self.input),
        }
        return Table(vocabulary.words, self.input, self.output, vocabulary.counts, facts)

    def save(self, path: str | PathLike[str], input_only: bool = False) -> str:
        """Write vectors.npz (see formats/arrays.py); the SHA-256 of the vectors."""
        table = self.table()
        write_npz(Path(path), replace(table, output=None) if input_only else table)
        return str(table.metadata["vectors_sha256"])


def suitable_tokens_per_step(words: int) -> int:
    """Small corpora take small steps, so that there are some dozen in an epoch."""
    return int(np.clip(words // STEPS_PER_EPOCH, LEAST_TOKENS_PER_STEP, MOST_TOKENS_PER_STEP))
