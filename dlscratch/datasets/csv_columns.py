"""One column of a CSV while it is read: numbers until a cell is text, then codes of categories."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import Decimal, is_number, number, sort_names
from dlscratch.datasets.csv_numbers import PlainRows
from dlscratch.datasets.tables import Categories, Column


class _Codes(dict[str, int]):
    """Text -> code, new codes given in the order of first appearance, -1 for missing."""

    def __init__(self, missing: frozenset[str]) -> None:
        self.missing = missing
        self.names: list[str] = []

    def __missing__(self, cell: str) -> int:
        code = -1 if cell.strip() in self.missing else len(self.names)
        if code >= 0:
            self.names.append(cell)
        self[cell] = code
        return code


class _Growing:
    """Values one after the other, in memory that doubles when it is full."""

    def __init__(self, dtype: type) -> None:
        self._memory: Array = np.empty(0, dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, values: Array) -> None:
        """Copy values to the end."""
        end = self._count + len(values)
        if end > len(self._memory):
            self.reserve(max(end, 2 * len(self._memory)))
        self._memory[self._count : end] = values
        self._count = end

    def reserve(self, count: int) -> None:
        """Make room for so many values in all."""
        if count > len(self._memory):
            grown = np.empty_like(self._memory, shape=count)
            grown[: self._count] = self._memory[: self._count]
            self._memory = grown

    def take(self) -> Array:
        """All values; this keeps none."""
        values, self._memory = self._memory, np.empty(0, self._memory.dtype)
        values.resize(self._count, refcheck=False)
        self._count = 0
        return values


class CsvColumn:
    """Collects a column block by block; `late` says that text came after numbers: read again with `text=True`."""

    def __init__(self, missing: frozenset[str], text: bool) -> None:
        self.text = text
        self.late = False
        self._missing = missing
        self._sentinels = has_sentinels(missing)
        self._codes = _Codes(missing)
        self._values = _Growing(np.int32 if text else np.float64)

    def expect(self, rows: int) -> None:
        """Make room for about so many rows more."""
        self._values.reserve(len(self._values) + rows)

    def add_numbers(self, values: Array) -> None:
        """Take a block that is already numbers."""
        self._values.add(values)

    def add_plain(self, rows: PlainRows, position: int) -> None:
        """Take a block of which all but the odd cells are numbers already."""
        if self.late:
            return
        odd = np.flatnonzero(rows.odd[:, position])
        found = None if self.text else self._numbers(rows.cells(position, odd), ".")
        if found is None:
            self.add_cells(rows.cells(position))
        else:
            rows.values[odd, position] = found
            self._values.add(rows.values[:, position])

    def add_cells(self, cells: Sequence[str], decimal: Decimal = ".") -> None:
        """Take a block of text cells."""
        if self.late:
            return
        values = None if self.text else self._numbers(cells, decimal)
        if values is None and not self.text and len(self._values):
            self.late = True
            return
        if values is None:
            if not self.text:
                self.text, self._values = True, _Growing(np.int32)
            values = np.fromiter(map(self._codes.__getitem__, cells), np.int32, len(cells))
        self._values.add(values)

    def finish(self) -> Column:
        """The whole column; nothing is kept here."""
        values = self._values.take()
        return _sorted_categories(values, self._codes.names) if self.text else values

    def _numbers(self, cells: Sequence[str], decimal: Decimal) -> Array | None:
        if decimal == "." and not self._sentinels and "_" not in "".join(cells):
            try:
                return np.fromiter(map(float, cells), np.float64, len(cells))
            except ValueError:
                pass
        try:
            return np.fromiter((self._number_or_nan(cell, decimal) for cell in cells), np.float64, len(cells))
        except ValueError:
            return None

    def _number_or_nan(self, cell: str, decimal: Decimal) -> float:
        return math.nan if cell.strip() in self._missing else number(cell, decimal)


def has_sentinels(missing: frozenset[str]) -> bool:
    """Whether a number, such as -999, stands for missing: every cell must then be looked at as text first."""
    return any(is_number(text) and not math.isnan(number(text)) for text in missing)


def _sorted_categories(codes: Array, names: list[str]) -> Categories:
    ordered = sort_names(names)
    position = {name: code for code, name in enumerate(ordered)}
    renumber = np.array([*(position[name] for name in names), -1], np.int32)  # its last entry serves code -1
    return Categories(renumber[codes.astype(np.intp)], tuple(ordered))
