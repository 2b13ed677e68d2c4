"""Gradients of occurrences -> one bounded step for each row of a table.

A row that occurs often in a step has many gradients, all taken at the same old weights. They are summed, and the row
goes lr along the sum, but never further than its bound (sgns.py) allows.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from dlscratch.backend import Array

RANKS = 32  # a row's occurrences beyond so many are summed at once, row by row
TINY = np.float32(1e-30)
SHIFT, PLACE = 32, 0xFFFFFFFF  # of an occurrence: row above, place below


class Room(threading.local):
    """Float32 arrays that a thread keeps from job to job, since making them anew costs more than filling them."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def get(self, name: str, *shape: int) -> Array:
        """An array with anything in it: the beginning of one that grows when it must."""
        size = int(np.prod(shape))
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = np.empty(size, np.float32)
        return self._arrays[name][:size].reshape(shape)


def occurrences(rows: Array) -> Array:
    """Row · 2³² + place of each occurrence, sorted: by row, then by place."""
    keys = rows.reshape(-1).astype(np.int64)
    keys <<= SHIFT
    keys |= np.arange(len(keys))
    keys.sort()
    return keys


def share(keys: Array, part: int, parts: int) -> Array:
    """One of `parts` about equal shares of sorted occurrences, with all or none of a row's."""
    ends = (len(keys) * n // parts for n in (part, part + 1))
    first, last = (np.searchsorted(keys, keys[end] & ~PLACE) if end < len(keys) else end for end in ends)
    return keys[first:last]


class Ranks(NamedTuple):
    """Occurrences sorted for summing: the first of every row, then the second of each row that has one, and so on.

    Rows with most occurrences come first, so the r-th occurrences belong to the first `sizes[r]` rows, and summing is
    adding contiguous arrays. What the few most frequent rows have beyond that lies behind, row by row. NumPy has
    nothing else that is fast here: `table[rows] += d` forgets all but one occurrence, `np.add.at` and
    `np.add.reduceat` go through a row number by number.
    """

    rows: Array  # (U,) each row once
    order: Array  # (n,) the places of occurrences
    sizes: list[int]  # how many rows have more than r occurrences
    rest: list[int]  # how many more occurrences each of the first rows has

    @classmethod
    def of(cls, keys: Array) -> Ranks:
        """The ranks of sorted occurrences."""
        places, rows = keys & PLACE, keys >> SHIFT
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        counts = np.diff(starts, append=len(keys))
        most_first = np.sort((-counts << SHIFT) | np.arange(len(counts))) & PLACE
        starts, counts = starts[most_first], counts[most_first]
        sizes = np.searchsorted(-counts, -np.arange(min(RANKS, counts[0]))).tolist()
        rest = (counts[counts > RANKS] - RANKS).tolist()
        begins = (starts[: len(rest)] + RANKS).tolist()
        ranked = [places[starts[:size] + nth] for nth, size in enumerate(sizes)]
        behind = [places[begin : begin + size] for begin, size in zip(begins, rest, strict=True)]
        return cls(rows[starts], np.concatenate([*ranked, *behind]), sizes, rest)

    def add_up(self, values: Array) -> Array:
        """The sum of each row's values, which lie in our order; written over the first ones."""
        total, at = values[: self.sizes[0]], self.sizes[0]
        for size in self.sizes[1:]:
            total[:size] += values[at : at + size]
            at += size
        for place, size in enumerate(self.rest):
            total[place] += values[at : at + size].sum(axis=0)
            at += size
        return total


def descend(table: Array, keys: Array, d: Array, bound: Array, lr: float, room: Room) -> None:
    """Move the rows that occur: row −= step · Σ d, with step = min(lr, 2 / Σ h).

    keys are sorted occurrences; d (n, D) and bound (n) have the gradient and 2h at the place of each.
    """
    if not len(keys):
        return
    ranks, D = Ranks.of(keys), d.shape[1]
    total = ranks.add_up(np.take(d, ranks.order, axis=0, out=room.get("d", len(keys), D), mode="clip"))
    step = np.minimum(lr, 4 / np.maximum(ranks.add_up(bound[ranks.order]), TINY))
    total *= step[:, None]
    moved = np.take(table, ranks.rows, axis=0, out=room.get("rows", len(ranks.rows), D), mode="clip")
    moved -= total
    table[ranks.rows] = moved
