"""What a reader returns: a Table of named columns or Arrays of examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import Decimal, is_number, number_name, quoted
from dlscratch.errors import DataError, closest, did_you_mean

Kind = Literal["numeric", "categorical"]

RENAMED = 0.75  # how much alike two names of one column are: letters and digits alone are compared


@dataclass(frozen=True)
class Categories:
    """A text column: `names[codes[i]]` is the cell of row i, and code -1 a missing one."""

    codes: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def used(self) -> list[int]:
        """The codes that occur, ascending."""
        return np.flatnonzero(np.bincount(self.codes[self.codes >= 0])).tolist()

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


def as_categories(column: Column) -> Categories:
    """The same column as text; numbers go by their names, `3` for 3.0."""
    if isinstance(column, Categories):
        return column
    distinct, codes = np.unique(column, return_inverse=True)
    codes = np.where(np.isnan(column), -1, codes.reshape(column.shape))
    return Categories(codes, tuple(number_name(number) for number in distinct if not np.isnan(number)))


def as_numbers(column: Categories) -> Array:
    """The same column as float64, where all of its text is numbers (see `text_rows`)."""
    return np.array([*map(float, column.names), np.nan])[column.codes]


def text_rows(column: Categories, decimal: Decimal = ".") -> Array:
    """A mask of the rows whose cell is neither a number nor missing."""
    return np.array([*(not is_number(name, decimal) for name in column.names), False])[column.codes]


def check_columns(source: str, needed: Collection[str], there: Collection[str]) -> None:
    """DataError where columns that a model needs are not there, with those that may be the same under another name."""
    absent = [name for name in needed if name not in there]
    if not absent:
        return
    free = {_letters(name): name for name in there if name not in needed}
    found = [(name, free[close]) for name in absent if (close := closest(_letters(name), free, RENAMED)) is not None]
    renamed = ", ".join(f'"{other}"' + (f' for "{name}"' if len(absent) > 1 else "") for name, other in found)
    what = f"column {quoted(absent)}, which is" if len(absent) == 1 else f"columns {quoted(absent)}, which are"
    hint = f"; did you mean {renamed}?" if renamed else ""
    raise DataError(f"{source}: the model needs the {what} not there{hint}")


def _letters(name: str) -> str:
    """`petalwidthcm` for "Petal width (cm)"; a name without letters stays as it is."""
    return "".join(re.findall(r"[^\W_]+", name)).casefold() or name


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
            known = quoted(self.columns) + did_you_mean(name, self.columns)
            raise DataError(f'{self.source}: there is no column "{name}"; the columns are {known}')
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
