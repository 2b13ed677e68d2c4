"""A summary of each column of a table: what a person wants to know before training on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import number_name
from dlscratch.datasets.tables import Categories, Kind, Table


@dataclass(frozen=True)
class ColumnSummary:
    """What is in a column: numbers have a minimum, maximum and mean, text has its commonest cells as examples."""

    name: str
    kind: Kind
    missing: int
    distinct: int
    examples: tuple[str, ...]
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


def describe(table: Table, examples: int = 5) -> list[ColumnSummary]:
    """One summary for each column of a table, in the table's order."""
    return [
        _describe_text(name, column, examples)
        if isinstance(column, Categories)
        else _describe_numbers(name, column, examples)
        for name, column in table.columns.items()
    ]


def _describe_numbers(name: str, column: Array, examples: int) -> ColumnSummary:
    present = column[~np.isnan(column)]
    missing = len(column) - len(present)
    if not len(present):
        return ColumnSummary(name, "numeric", missing, 0, ())
    distinct = np.unique(present)
    shown = tuple(number_name(value) for value in distinct[:examples])
    low, high, mean = float(distinct[0]), float(distinct[-1]), float(present.mean())
    return ColumnSummary(name, "numeric", missing, len(distinct), shown, low, high, mean)


def _describe_text(name: str, column: Categories, examples: int) -> ColumnSummary:
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.names))
    commonest = np.argsort(-counts, kind="stable")[:examples]
    shown = tuple(column.names[code] for code in commonest if counts[code])
    return ColumnSummary(name, "categorical", int((column.codes < 0).sum()), int((counts > 0).sum()), shown)
