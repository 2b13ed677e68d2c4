"""Documents and lines of metrics against each other: which values differ, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from dlscratch.runs.stored_config import leaves

CLOCK = ("seconds", "epoch_seconds", "samples_per_second", "words_per_second")  # what no two runs share


@dataclass(frozen=True)
class Row:
    """A value that differs; None where there is none."""

    name: str
    a: Any
    b: Any


def differing(a: Any, b: Any) -> list[Row]:
    """The values of two documents that differ, by dotted path, in a's order.

    They are compared as they are written: NaN is the same as NaN, and 0.0 is not -0.0.
    """
    left, right = dict(leaves(a)), dict(leaves(b))
    rows = [Row(name, left.get(name), right.get(name)) for name in {**left, **right}]
    return [row for row in rows if repr(row.a) != repr(row.b)]


def without_clock(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values but for times and speeds."""
    return {name: value for name, value in values.items() if name not in CLOCK}


def first_epoch(a: Iterable[Mapping[str, Any]], b: Iterable[Mapping[str, Any]]) -> tuple[int, Sequence[Row]] | None:
    """The first line of two metrics.jsonl that differs: its epoch, and what differs in it."""
    for left, right in zip_longest(map(without_clock, a), map(without_clock, b)):
        if rows := differing(left or {}, right or {}):
            return (left or right or {}).get("epoch", 0), rows
    return None
