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


class Ranks(NamedTuple):
    """Occurrences sorted for summing: the first of every row, then the second of each row that has one, and so on.

    Rows with most occurrences come first, so the r-th occurrences belong to the first `sizes[r]` rows, and summing is
    adding contiguous arrays. What the few most frequent rows have beyond that lies behind, row by row. NumPy has
    nothing else that is fast here: `table[rows] += d` forgets all but one occurrence, `np.add.at` and
    `np.add.reduceat` go through a row number by number.
    """

    rows: Array  # (U,) each row once
    order: Array  # (n,) the occurrences, sorted
    sizes: list[int]  # how many rows have more than r occurrences
    rest: list[int]  # how many more occurrences each of the first rows has


def rank(ids: Array, part: int, parts: int) -> Ranks | None:
    """The ranks of those of the ids that are `part` modulo `parts`; None if there are none."""
    mine = np.flatnonzero(ids % parts == part)
    if not len(mine):
        return None
    keys = np.sort((ids[mine].astype(np.int64) << 32) | mine)  # by row, then by occurrence
    by_row, ids = keys & 0xFFFFFFFF, keys >> 32
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    counts = np.diff(starts, append=len(ids))
    often_first = np.argsort(-counts, kind="stable")
    place = np.empty_like(often_first)
    place[often_first] = np.arange(len(place))
    sizes = np.cumsum(np.bincount(counts)[:0:-1])[::-1]
    ranks = min(len(sizes), RANKS)
    rest = np.maximum(counts[often_first] - ranks, 0)
    begin = np.append(0, np.cumsum(sizes[:ranks]))  # of each rank, and of the rest
    nth = np.arange(len(ids)) - np.repeat(starts, counts)
    behind = (begin[-1] + np.cumsum(rest) - rest)[place] - ranks
    place, behind = np.repeat(place, counts), np.repeat(behind, counts)
    order = np.empty_like(by_row)
    order[np.where(nth < ranks, begin[np.minimum(nth, ranks)] + place, behind + nth)] = by_row
    return Ranks(ids[starts[often_first]], order, sizes[:ranks].tolist(), rest[rest > 0].tolist())


def add_up(values: Array, ranks: Ranks) -> Array:
    """The sum of each row's values, which lie as `ranks.order` sorted them; written over the first ones."""
    total, at = values[: ranks.sizes[0]], ranks.sizes[0]
    for size in ranks.sizes[1:]:
        total[:size] += values[at : at + size]
        at += size
    for place, size in enumerate(ranks.rest):
        total[place] += values[at : at + size].sum(axis=0)
        at += size
    return total


def descend(table: Array, ids: Array, d: Array, bound: Array, lr: float, part: int, parts: int, room: Room) -> None:
    """Move the rows of one part of a table: row −= step · Σ d, with step = min(lr, 2 / Σ h); `bound` is 2h.

    ids and bound are (n), d is (n, D): the row, the doubled bound and the gradient of each occurrence.
    """
    ranks = rank(ids, part, parts)
    if ranks is None:
        return
    n, U, D = len(ranks.order), len(ranks.rows), d.shape[1]
    total = add_up(np.take(d, ranks.order, axis=0, out=room.get("d", n, D), mode="clip"), ranks)
    h = add_up(bound[ranks.order], ranks)
    total *= np.minimum(lr, 4 / np.maximum(h, TINY))[:, None]
    moved = np.take(table, ranks.rows, axis=0, out=room.get("rows", U, D), mode="clip")
    moved -= total
    table[ranks.rows] = moved
