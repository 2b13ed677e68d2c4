"""What a column of a table is besides numbers or categories, and whether it teaches anything; each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import MOSTLY, Decimal, has_thousands, is_number
from dlscratch.datasets.csv_reader import MISSING
from dlscratch.datasets.tables import Categories, Column, missing_rows

MOST_CATEGORIES = 256  # the preprocessing's own default
FEW_ROWS = 10  # a column of fewer values may have none among the training rows
WORDS = 4  # texts of so many words on average are read, not counted

TIME = r"([T ]\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[ap]m)?(Z|[+-]\d\d:?\d\d)?)?"
DATE = re.compile(
    rf"(\d{{4}}-\d\d?-\d\d?|\d{{4}}/\d\d?/\d\d?|\d\d?\.\d\d?\.(\d{{4}}|\d\d)|\d\d?/\d\d?/(\d{{4}}|\d\d)){TIME}",
    re.IGNORECASE,
)


def why_useless(column: Column, decimal: Decimal = ".") -> str | None:
    """Why a column should be left out; None where it should not."""
    rows, present = len(column), len(column) - int(missing_rows(column).sum())
    if present < min(FEW_ROWS, rows):
        return f"only {present} of {rows} rows have a value" if present else "no row has a value"
    if isinstance(column, Categories):
        return _why_no_categories(column, rows, present, decimal)
    values = column[~np.isnan(column)]
    if values.min() == values.max() and present == rows:
        return "the same in every row"
    if present == rows > 2 and _counts(values):
        return f"counts the rows, {values.min():.0f} to {values.max():.0f}: it tells rows apart and teaches nothing"
    return None


def _why_no_categories(column: Categories, rows: int, present: int, decimal: Decimal) -> str | None:
    distinct = len(np.unique(column.codes[column.codes >= 0]))
    if distinct == 1 and present == rows:
        return "the same in every row"
    if _share(column, is_date) >= MOSTLY:
        example = _first(column, is_date)
        return f'dates, such as "{example}", are no features; numbers made of them, such as the month, are'
    if thousands := with_thousands(column, decimal):
        return thousands
    if distinct * 2 > present and _words(column) >= WORDS:
        return "texts are no features here; `dlscratch word2vec` makes vectors of their words"
    if distinct == present > 1:
        return "a text of its own in every row, which tells rows apart and teaches nothing"
    return f"{distinct} different texts, too many to make an input of each" if distinct > MOST_CATEGORIES else None


def with_thousands(column: Column, decimal: Decimal) -> str | None:
    """What to say of a column whose cells are numbers such as `1,100`; None for others."""

    def separated(cell: str) -> bool:
        return has_thousands(cell, decimal)

    if not isinstance(column, Categories) or not any(map(separated, column.names)):
        return None
    if _share(column, lambda cell: separated(cell) or is_number(cell, decimal)) < MOSTLY:
        return None
    cell = _first(column, separated)
    plain = cell.replace("," if decimal == "." else ".", "")
    return f'looks like numbers with thousands separators, which are read as texts; write "{cell}" as {plain}'


def is_date(cell: str) -> bool:
    """Whether a cell is a date such as 2020-01-31, 31.01.2020 or 01/31/2020, with or without a time."""
    return DATE.fullmatch(cell.strip()) is not None


def leading_zeros(cells: Sequence[str]) -> str | None:
    """The first of some cells that begins with a zero too many, as in `00501`; None where not all are digits."""
    present = [text for cell in cells if (text := cell.strip()) not in MISSING]
    if not all(text.isdecimal() for text in present):
        return None
    return next((text for text in present if len(text) > 1 and text[0] == "0"), None)


def _share(column: Categories, holds: Callable[[str], bool]) -> float:
    """The share of the rows with a value for whose text something holds."""
    each = np.array([*map(holds, column.names)], bool)
    present = column.codes[column.codes >= 0]
    return float(each[present].mean())


def _first(column: Categories, holds: Callable[[str], bool]) -> str:
    return next(cell for cell in column.names if holds(cell)).strip()


def _words(column: Categories) -> float:
    """Words in a text, on average; a word has a letter."""
    return float(np.mean([len(re.findall(r"[^\W\d_]+", cell)) for cell in column.names]))


def _counts(values: Array) -> bool:
    """Whether values are consecutive whole numbers in any order."""
    ordered = np.sort(values)
    return bool(ordered[0] == np.floor(ordered[0]) and np.all(np.diff(ordered) == 1))
