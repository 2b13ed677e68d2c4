"""Batches of examples in a new order each epoch, taken from the whole set without copying it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dlscratch.backend import Array, generator
from dlscratch.errors import ShapeError, UsageError


class Batches:
    """Batches `(x, y)` of inputs and targets; x is float32, both are fresh arrays, the last batch may be smaller.

    `rows` picks and orders the examples (None: all). The order of an epoch depends on the seed and the epoch's number
    alone, so a run can go on in the middle of one. `convert` makes the model's numbers of a batch of raw inputs, such
    as 8-bit pixels; without it they are cast to float32 (integers of an embedding: `convert=np.asarray`).
    """

    def __init__(
        self,
        inputs: Array,
        targets: Array,
        batch_size: int,
        *,
        rows: Array | None = None,
        shuffle: bool = False,
        seed: int = 0,
        convert: Callable[[Array], Array] | None = None,
    ) -> None:
        if len(inputs) != len(targets):
            raise ShapeError(f"{len(inputs)} inputs, but {len(targets)} targets; expected one target for each input")
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; expected 1 or more")
        self.inputs = inputs
        self.targets = targets
        self.batch_size = batch_size
        self.rows = np.arange(len(inputs)) if rows is None else rows
        self.shuffle = shuffle
        self.seed = seed
        self.convert = convert or _as_float32

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def examples(self) -> int:
        """The number of examples in an epoch."""
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """All batches in the order of the data; shuffled batches have no order but an epoch's."""
        if self.shuffle:
            raise UsageError("shuffled batches have another order each epoch; iterate over batches.epoch(number)")
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of one epoch, from batch `start` on."""
        rows = self.order(number)
        for first in range(start * self.batch_size, len(rows), self.batch_size):
            batch = rows[first : first + self.batch_size]
            yield self.convert(self.inputs.take(batch, axis=0)), self.targets.take(batch, axis=0)

    def order(self, number: int) -> Array:
        """The row numbers of an epoch in the order in which they are used."""
        return generator(self.seed, "order", number).permutation(self.rows) if self.shuffle else self.rows


def _as_float32(x: Array) -> Array:
    return x.astype(np.float32, copy=False)
