"""Gradients of occurrences -> one bounded step for each row of a table.

A row that occurs often in a step has many gradients, all taken at the same old weights. They are summed, and the row
goes lr along the sum, but never further than its bound (sgns.py) allows.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from dlscratch.backend import Array

RANKS = 12  # of a row's occurrences; what it has beyond these is summed as one run
TINY = np.float32(1e-30)
BOUND = np.float32(4)  # step ≤ 2 / Σ h, and the kernel gives 2h; see sgns.py for why 2
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
    adding contiguous arrays. What frequent rows have beyond that lies behind, row by row, for `np.add.reduceat`, which
    is fast on long runs only. (`table[rows] += d` would forget all but one occurrence, and `np.add.at` takes the rows
    number by number.)
    """

    places: Array  # (n,) of the occurrences, by row
    starts: Array  # (U,) where a row's begin among them
    often_first: Array  # (U,) the rows in the order of the sums
    rows: Array  # (U,) in that order
    order: Array  # (n,) the places, sorted for summing
    sizes: list[int]  # how many rows have more than r occurrences
    behind: Array  # where the other occurrences of the first rows begin, counted from the end of the ranks

    @classmethod
    def of(cls, keys: Array) -> Ranks:
        """The ranks of sorted occurrences."""
        places, ids = keys & PLACE, keys >> SHIFT
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        counts = np.diff(starts, append=len(keys))
        often_first = np.sort((-counts << SHIFT) | np.arange(len(counts))) & PLACE
        first, counts = starts[often_first], counts[often_first]
        sizes = np.searchsorted(-counts, -np.arange(min(RANKS, counts[0]))).tolist()
        rest = counts[counts > RANKS] - RANKS
        runs = zip(first.tolist(), rest.tolist(), strict=False)
        order = [places[first[:size] + nth] for nth, size in enumerate(sizes)]
        order += [places[begin + RANKS : begin + RANKS + size] for begin, size in runs]
        return cls(places, starts, often_first, ids[first], np.concatenate(order), sizes, np.cumsum(rest) - rest)

    def add_up(self, values: Array) -> Array:
        """The sum of each row's values (n, D), which lie in `order`; written over the first ones."""
        total, at = values[: self.sizes[0]], self.sizes[0]
        for size in self.sizes[1:]:
            total[:size] += values[at : at + size]
            at += size
        if len(self.behind):
            total[: len(self.behind)] += np.add.reduceat(values[at:], self.behind)
        return total

    def add_up_numbers(self, values: Array) -> Array:
        """The sum of each row's values (n), which lie as they occur."""
        sums: Array = np.add.reduceat(values[self.places], self.starts)[self.often_first]
        return sums


def descend(table: Array, keys: Array, d: Array, bound: Array, lr: float, room: Room) -> None:
    """Move the rows that occur: row −= step · Σ d, with step = min(lr, 2 / Σ h).

    keys are sorted occurrences; d (n, D) and bound (n) have the gradient and 2h at the place of each.
    """
    if not len(keys):
        return
    ranks, D = Ranks.of(keys), d.shape[1]
    total = ranks.add_up(np.take(d, ranks.order, axis=0, out=room.get("d", len(keys), D), mode="clip"))
    step = np.minimum(lr, BOUND / np.maximum(ranks.add_up_numbers(bound), TINY))
    total *= step[:, None]
    moved = np.take(table, ranks.rows, axis=0, out=room.get("rows", len(ranks.rows), D), mode="clip")
    moved -= total
    table[ranks.rows] = moved
