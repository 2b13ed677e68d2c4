"""What a run will need, found out without training: vocabulary, pairs, memory and time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dlscratch.word2vec.blocks import CHUNK
from dlscratch.word2vec.encoding import Encoded, Report
from dlscratch.word2vec.options import Word2VecOptions
from dlscratch.word2vec.softmax import OBJECTIVES
from dlscratch.word2vec.trainer import BLOCKS_PER_JOB, Trainer

BYTES_PER_CHUNK_ID = 40  # in the arrays from which a chunk's blocks are made


@dataclass(frozen=True)
class Plan:
    """What a run will need."""

    report: Report  # what the corpus holds, and what is dropped of it
    vocabulary: int
    kept: int  # words that subsampling leaves, on average, in all epochs
    pairs: int  # of a centre and a word in its window, in all epochs
    tokens_per_step: int
    memory: int  # bytes of the arrays in training
    words_per_second: float  # as measured
    seconds: float  # of training, all epochs


def plan(encoded: Encoded, options: Word2VecOptions, threads: int = 1, seconds: float = 1.0) -> Plan:
    """Try the training for some seconds on tables that are thrown away, and tell what all of it will need."""
    trainer = OBJECTIVES[options.objective](encoded, options)
    step = next(trainer.blocks.epoch(0))
    halves = trainer.block.half_weights()[step.codes][..., : trainer.block.contexts]
    kept = float(trainer.blocks.keep[:-1] @ encoded.vocabulary.counts) * options.epochs
    deadline = time.perf_counter() + seconds
    for record in trainer.run(threads):
        speed = record.words_per_second
        if time.perf_counter() > deadline:
            break
    return Plan(
        report=encoded.report,
        vocabulary=len(encoded.vocabulary),
        kept=round(kept),
        pairs=round(kept * 2 * float(halves.sum()) / step.codes.size),
        tokens_per_step=trainer.blocks.per_step * trainer.block.centres,
        memory=_memory(trainer, threads),
        words_per_second=speed,
        seconds=encoded.report.words * options.epochs / speed,
    )


def _memory(trainer: Trainer, threads: int) -> int:
    """Bytes of the tables, of a step's gradients, of each thread's room, and of a chunk."""
    block, D = trainer.block, trainer.options.dim
    tables = trainer.input.nbytes + trainer.output.nbytes
    step = 4 * trainer.blocks.per_step * (block.centres + block.rows) * (D + 1)
    room = 4 * BLOCKS_PER_JOB * ((block.centres + block.rows) * D + 3 * block.centres * block.rows) + step
    return tables + step + threads * room + BYTES_PER_CHUNK_ID * CHUNK
