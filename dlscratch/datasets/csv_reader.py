"""CSV files into a Table: exact numbers, text columns, missing cells, and errors with line and column.

A file is parsed in blocks. While rows are plain (no quotes, and most cells numbers) NumPy reads a block at once, see
csv_numbers.py; from the first other block on, Python's csv module does. A column is numeric when every cell that is not
missing is a number. When a column of numbers turns out to hold text after all, the files are read once more with that
column as text, so that `007` at the top stays `007`.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_doc import Doc

from dlscratch.backend import keep_memory
from dlscratch.datasets.cells import MOSTLY, Decimal, has_decimal_comma, is_number, quoted
from dlscratch.datasets.csv_columns import CsvColumn, has_sentinels
from dlscratch.datasets.csv_file import CsvFile
from dlscratch.datasets.csv_numbers import PlainRows
from dlscratch.datasets.sources import expand, resolve
from dlscratch.datasets.tables import Categories, Column, Kind, Table, check_columns, missing_rows, text_rows
from dlscratch.errors import DataError, UsageError, did_you_mean

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")
NO_FILE = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")  # codecs that no text file is in
SLACK = 1.02  # of the expected rows: memory where nothing is written is not taken
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


class CsvReader:
    """Tables of text with one header line (RFC 4180 quoting; also .gz): numeric and categorical columns.

    Blank lines are skipped, a header cell without a name becomes `column 3`, and NaN in any spelling is missing.
    A column of which at least 80% but not all are numbers is an error unless `categorical` lists it.
    """

    def __init__(
        self,
        path: Annotated[str | list[str], Doc("a file (.csv or .tsv, also .gz), a folder of them, or a list of both")],
        target: Annotated[str | None, Doc("the column to learn; left out when there is none")] = None,
        delimiter: Annotated[str | None, Doc("one character; left out: found among , ; tab |")] = None,
        decimal: Annotated[
            Literal[".", ","] | None,
            Doc("the decimal mark; left out: a comma where the delimiter is none and a column looks like 162,0"),
        ] = None,
        missing: Annotated[
            list[str] | None, Doc('cells that count as missing; left out: "", NA, N/A, NaN, nan, null, None, ?')
        ] = None,
        drop: Annotated[list[str] | None, Doc("columns to leave out")] = None,
        categorical: Annotated[
            list[str] | None, Doc("columns to take as text though they look like numbers, such as zip codes")
        ] = None,
        missing_target: Annotated[
            Literal["error", "drop"], Doc("what to do with rows whose target is missing")
        ] = "error",
        encoding: Annotated[str, Doc("the text's encoding, such as latin-1; a byte order mark is allowed")] = "utf-8",
    ) -> None:
        self.paths = [path] if isinstance(path, str) else list(path)
        self.target = target
        self.delimiter = delimiter
        self.decimal: Decimal | None = decimal
        self.missing = frozenset(MISSING if missing is None else (text.strip() for text in missing))
        self.drop = tuple(drop or ())
        self.categorical = tuple(categorical or ())
        self.missing_target = missing_target
        self.encoding = _codec(encoding)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise UsageError(f"delimiter is {delimiter!r}; expected one character that is not a quote or a line end")
        if not self.paths:
            raise UsageError("path is an empty list; expected at least one file or folder")
        if target is not None and target in self.drop:
            raise UsageError(f'"{target}" is both the target and in drop; take it out of one')

    def files(self, base: Path | None = None) -> list[Path]:
        """The files that are read, in order; DataError where one is missing or a folder holds none."""
        return expand([resolve(path, base) for path in self.paths], SUFFIXES)

    def read(self, base: Path | None = None, kinds: Mapping[str, Kind] | None = None) -> Table:
        """All rows of all files, one below the other.

        `kinds` is what a trained model expects of each column: text in a column of numbers is then an error that
        names the cell, a column of categories stays text, and columns that it does not name are left out.
        """
        keep_memory()  # each piece of a file needs as much as the one before
        files = [CsvFile(path, self.encoding, self.delimiter, self.decimal) for path in self.files(base)]
        for file in files:
            self._check_header(file, files[0], strict=kinds is None)
        check_columns(str(files[0].path), kinds or {}, dict.fromkeys(files[0].header))
        used = [name for name in files[0].header if self._is_used(name, kinds)]
        expected = {**(kinds or {}), **dict.fromkeys(self.categorical, "categorical")}
        text = {name for name in used if expected.get(name) == "categorical"}
        columns, counts = self._read_columns(files, used, text)
        if not sum(counts):
            raise DataError(f"{files[0].path}: has a header but no rows")
        where = _Places(files, counts)
        decimal: Decimal = "," if any(file.decimal == "," for file in files) else "."
        for name, column in columns.items():
            _check_column(name, column, expected.get(name), decimal, where)
        source = str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more"
        return self._check_target(Table(columns, sum(counts), source, self.target, where))

    def _check_header(self, file: CsvFile, first: CsvFile, strict: bool) -> None:
        if file.header != first.header:
            what = f"the header is not that of {first.path}: {_difference(file, first)}"
            raise DataError(f"{file.path}:1: {what}{self._folder_of(file)}")
        wanted = {"target": (self.target,), "drop": self.drop, "categorical": self.categorical}
        for option, names in wanted.items():
            for name in names:
                if name is not None and name not in file.header and (strict or option == "target"):
                    raise DataError(
                        f'{file.path}: there is no column "{name}", which is named under {option}; '
                        f"the columns are {quoted(file.header)}{did_you_mean(name, file.header)}"
                    )

    def _folder_of(self, file: CsvFile) -> str:
        """What to say of a file that nobody named: it lay in a folder."""
        if any(Path(path).name == file.path.name for path in self.paths):
            return ""
        folder = file.path.parent
        return f"; all CSV files in the folder {folder} were read as one table: name the file that is meant under path"

    def _is_used(self, name: str, kinds: Mapping[str, Kind] | None) -> bool:
        return name not in self.drop and (kinds is None or name in kinds or name == self.target)

    def _read_columns(
        self, files: list[CsvFile], used: list[str], text: set[str]
    ) -> tuple[dict[str, Column], list[int]]:
        """The columns of all files, and the number of rows of each; `text` are the columns known to be text."""
        columns = {name: CsvColumn(self.missing, name in text) for name in used}
        counts = [_read_file(file, columns, not has_sentinels(self.missing)) for file in files]
        if any(column.late for column in columns.values()):
            return self._read_columns(files, used, {name for name in used if columns[name].text or columns[name].late})
        return {name: column.finish() for name, column in columns.items()}, counts

    def _check_target(self, table: Table) -> Table:
        """The table without rows whose target is missing, or DataError that names the first of them."""
        if self.target is None:
            return table
        missing = missing_rows(table.columns[self.target])
        rows = np.flatnonzero(missing)
        if not len(rows):
            return table
        if self.missing_target == "error" or len(rows) == len(table):
            raise DataError(
                f'{table.where(int(rows[0]))}: the target "{self.target}" is missing, first here and in {len(rows)} of '
                f"{len(table)} rows; fill it in, or write missing_target: drop to leave such rows out"
            )
        return table.take(np.flatnonzero(~missing), dropped=len(rows))


def _read_file(file: CsvFile, columns: Mapping[str, CsvColumn], numbers: bool) -> int:
    """Add a file's rows to the columns; their number."""
    positions = {name: position for position, name in enumerate(file.header)}
    used = [(positions[name], column) for name, column in columns.items()]
    count = 0
    for block in file.blocks(numbers, any(column.text for column in columns.values())):
        count += len(block)
        if isinstance(block, PlainRows):
            if count == len(block):  # the first one tells about how many rows there are
                rows = int(SLACK * count * file.path.stat().st_size / block.lines.end)
                for _, column in used:
                    column.expect(rows)
            _add_plain(block, used)
        elif isinstance(block, np.ndarray):
            for position, column in used:
                column.add_numbers(block[:, position])
        else:
            cells = list(zip(*block, strict=True))
            for position, column in used:
                column.add_cells(cells[position], file.decimal)
    return count


def _add_plain(rows: PlainRows, used: list[tuple[int, CsvColumn]]) -> None:
    """Add rows to the columns, most of which have no odd cell."""
    rows.settle()
    odd = set((np.flatnonzero(rows.odd) % rows.odd.shape[1]).tolist())
    for position, column in used:
        if position in odd or column.text:
            column.add_plain(rows, position)
        else:
            column.add_numbers(rows.values[:, position])


class _Places:
    """Row of the table -> `file:line`."""

    def __init__(self, files: list[CsvFile], counts: Iterable[int]) -> None:
        self.files = files
        self.starts = np.cumsum([0, *counts])

    def __call__(self, row: int) -> str:
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.files[number].where(row - int(self.starts[number]))


def _check_column(name: str, column: Column, expected: str | None, decimal: Decimal, where: _Places) -> None:
    """Refuse infinite numbers, and text where numbers belong; beside decimal commas `1.5` is a mistake as well."""
    if not isinstance(column, Categories):
        infinite = np.flatnonzero(np.isinf(column))
        if len(infinite):
            place = f'{where(int(infinite[0]))}: column "{name}"'
            raise DataError(f"{place} is {column[infinite[0]]}; expected a finite number")
        return
    if expected == "categorical":
        return
    text = text_rows(column, decimal)
    present = int((column.codes >= 0).sum())
    numbers = present - int((text & text_rows(column)).sum())
    if not text.any() or (expected is None and numbers < MOSTLY * present):
        return
    row = int(np.argmax(text))
    cell = column.cell(row) or ""
    place = f'{where(row)}: column "{name}" holds "{cell}"'
    if expected == "numeric":
        raise DataError(f"{place}, but the model was trained on numbers there")
    if decimal == "," and is_number(cell):
        what = "but the numbers of the file have decimal commas"
        raise DataError(f'{place}, {what}; correct it, write decimal: ".", or list the column under categorical')
    advice = 'write decimal: ","' if has_decimal_comma(cell) else "correct the cell, list it under missing"
    raise DataError(
        f"{place}, but {numbers} of {present} of its cells are numbers; {advice}, or list the column under categorical"
    )


def _difference(file: CsvFile, first: CsvFile) -> str:
    """The first place at which two headers differ."""
    for number, (here, there) in enumerate(zip(file.header, first.header, strict=False), 1):
        if here != there:
            return f'column {number} is "{here}" and not "{there}"'
    return f"its number of columns is {len(file.header)} and not {len(first.header)}"


def _codec(encoding: str) -> str:
    """The name to open with: a byte order mark is skipped in UTF-8."""
    try:
        name = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), name)
    except (LookupError, ValueError):  # not known, a transformation such as rot13 or zip, or no name at all
        name = ""
    if not name or name.replace("_", "-") in NO_FILE:
        raise UsageError(f'encoding "{encoding}" is not known; try utf-8 or latin-1')
    return "utf-8-sig" if name == "utf-8" else name
