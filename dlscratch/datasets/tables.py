"""What a reader returns: a Table of named columns or Arrays of examples, and a summary of a table's columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.errors import DataError, did_you_mean

Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Categories:
    """A text column: `names[codes[i]]` is the cell of row i, and code -1 a missing one."""

    codes: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def cell(self, row: int) -> str | None:
        """The text of a row, None where it is missing."""
        code = int(self.codes[row])
        return None if code < 0 else self.names[code]


Column = Array | Categories


def kind_of(column: Column) -> Kind:
    """Whether a column holds numbers or text."""
    return "categorical" if isinstance(column, Categories) else "numeric"


def missing_rows(column: Column) -> Array:
    """A mask of the rows that have no value."""
    return column.codes < 0 if isinstance(column, Categories) else np.isnan(column)


def _row_name(row: int) -> str:
    return f"row {row + 1}"


@dataclass(frozen=True)
class Table:
    """Columns of equal length: float64 arrays with NaN for a missing number, or Categories.

    `source` names the data in messages, `where(row)` gives the place of a row, such as `data.csv:17`, and
    `dropped` counts the rows that were left out because their target was missing.
    """

    columns: dict[str, Column]
    rows: int
    source: str = "table"
    target: str | None = None
    where: Callable[[int], str] = field(default=_row_name, repr=False)
    dropped: int = 0

    def __len__(self) -> int:
        return self.rows

    @property
    def features(self) -> dict[str, Column]:
        """The columns that are not the target, in the file's order."""
        return {name: column for name, column in self.columns.items() if name != self.target}

    def column(self, name: str) -> Column:
        """A column by name; DataError with the closest name where there is none."""
        if name not in self.columns:
            known = ", ".join(f'"{column}"' for column in self.columns)
            hint = did_you_mean(name, self.columns)
            raise DataError(f'{self.source}: there is no column "{name}"{hint}; the columns are {known}')
        return self.columns[name]

    def take(self, rows: Array, dropped: int = 0) -> Table:
        """The table of some rows, in the given order; `where` still tells their place in the file."""
        columns: dict[str, Column] = {
            name: Categories(column.codes[rows], column.names) if isinstance(column, Categories) else column[rows]
            for name, column in self.columns.items()
        }
        dropped += self.dropped

        def where(row: int) -> str:
            return self.where(int(rows[row]))

        return Table(columns, len(rows), self.source, self.target, where, dropped)


@dataclass(frozen=True)
class Arrays:
    """Examples as arrays: `inputs` (N, …), and `targets` (N, …) where there are any."""

    inputs: Array
    targets: Array | None = None
    source: str = "arrays"
    target: str | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def where(self, row: int) -> str:
        """The place of an example, for messages."""
        return f"{self.source}: {_row_name(row)}"


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


def number_name(value: float) -> str:
    """A number as text: `3` for 3.0, else the shortest text that reads back as the same number."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
