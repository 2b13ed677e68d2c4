"""One CSV file: its encoding, delimiter, decimal mark, header, and rows in blocks; every complaint names the line."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import Decimal, decimal_of, is_number
from dlscratch.datasets.csv_numbers import PlainRows, plain_rows
from dlscratch.datasets.sources import open_binary
from dlscratch.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
BLOCK_CHARACTERS, BLOCK_ROWS, BLOCK_CELLS, SNIFFED_LINES = 1 << 18, 4096, 1 << 20, 20
MOST_ODD = 0.5  # of the cells of plain rows: cell by cell, the csv module is faster


class CsvFile:
    """A file whose header has been read; `blocks` gives its rows and `where` the line of a row."""

    def __init__(
        self, path: Path, encoding: str = "utf-8", delimiter: str | None = None, decimal: Decimal | None = None
    ) -> None:
        self.path = path
        self.encoding = encoding
        with self._open() as text:
            self.delimiter = delimiter or _sniff(list(islice(text, SNIFFED_LINES)))
        with self._open() as text:
            self.header = self._names(next(self._records(text), None))
        self.decimal = decimal or (self.looks_decimal() if self.delimiter != "," else ".")

    @property
    def _rows(self) -> int:
        """How many rows are looked at together: fewer where a row is long."""
        return max(1, min(BLOCK_ROWS, BLOCK_CELLS // len(self.header)))

    def looks_decimal(self) -> Decimal:
        """The decimal mark of the numbers in the first rows."""
        return decimal_of(zip(*self.first_rows(), strict=True))

    def first_rows(self) -> list[list[str]]:
        """The cells of the first rows, as text."""
        with self._open() as text:
            return [cells for _, cells in islice(self._records(text, width=len(self.header)), 1, self._rows + 1)]

    def where(self, row: int) -> str:
        """`path:line` of a row, counted from 0 below the header: found by reading again, for messages only."""
        with self._open() as text:
            line, _ = next(islice(self._records(text, width=len(self.header)), row + 1, None))
        return f"{self.path}:{line}"

    def blocks(self, numbers: bool, text: bool) -> Iterator[PlainRows | Array | list[list[str]]]:
        """The rows below the header: by NumPy while they are plain, then as lists of cells.

        `numbers`: whether a number is one wherever it stands; `text`: whether columns of numbers may be meant as text.
        """
        with self._open() as file:
            line, _ = next(self._records(file))
            above = line - 1 + self._header_lines
            ways = (self._plain,) if text else (self._plain, self._matrix)
            rest, block = "", None
            for way in ways if numbers and self.decimal == "." else ():
                rest = rest or _lines(file)
                if (block := way(rest) if rest else None) is not None:
                    break
            while block is not None:
                yield block
                above += len(block) if isinstance(block, PlainRows) else rest.count("\n")
                rest = _lines(file)
                block = way(rest) if rest else None
            records = self._records(chain(io.StringIO(rest, newline=""), file), above, len(self.header))
            while rows := [record for _, record in islice(records, self._rows)]:
                yield rows

    def _plain(self, lines: str) -> PlainRows | None:
        """Rows without quotes; None where most cells are odd ones, or a row is huge: it takes 20 times that memory."""
        rows = plain_rows(lines, self.delimiter, len(self.header)) if len(lines) < 16 * BLOCK_CHARACTERS else None
        return None if rows is None or rows.odd.mean() > MOST_ODD else rows

    def _matrix(self, lines: str) -> Array | None:
        """Numbers of any form through NumPy's tokenizer, which is slower; None where there is anything else."""
        if "\r" in lines.replace("\r\n", "") or not all(map(is_number, lines.partition("\n")[0].split(self.delimiter))):
            return None
        try:
            block = np.loadtxt(lines.split("\n"), delimiter=self.delimiter, comments=None, ndmin=2)
        except ValueError:
            return None
        return block if block.shape[1] == len(self.header) else None

    def _records(self, lines: Iterable[str], above: int = 0, width: int = 0) -> Iterator[tuple[int, list[str]]]:
        """The first line and the cells of each row that is not blank, after `above` lines that were read before."""
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        line = above + 1
        try:
            for record in reader:
                if record and (len(record) > 1 or width == 1 or record[0].strip()):
                    if width and len(record) != width:
                        raise DataError(f"{self.path}:{line}: {_count(record)}, but the header has {width} columns")
                    yield line, record
                line = above + reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{self.path}:{line}: {error}; is a quote left open in this row?") from error

    def _names(self, first: tuple[int, list[str]] | None) -> list[str]:
        if first is None:
            raise DataError(f"{self.path}: is empty; expected a header line and rows")
        line, cells = first
        self._header_lines = 1 + sum(cell.count("\n") for cell in cells)
        names = [cell if cell.strip() else f"column {number}" for number, cell in enumerate(cells, 1)]
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            places = " and ".join(str(number) for number, other in enumerate(names, 1) if other == name)
            advice = "is the header line missing?" if all(map(is_number, names)) else "give each its own name"
            raise DataError(f'{self.path}:{line}: column "{name}" stands {times} times (columns {places}); {advice}')
        return names

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        with open_binary(self.path) as file:
            try:
                yield io.TextIOWrapper(file, encoding=self.encoding, newline="")
            except UnicodeError as error:
                raise self._undecodable() from error

    def _undecodable(self) -> DataError:
        """The complaint about the first line that does not fit the encoding."""
        decoder, number = codecs.getincrementaldecoder(self.encoding)(), 1
        what = f"is not {self.encoding.removesuffix('-sig').upper()}"
        try:
            with open_binary(self.path) as file:
                for line in file:
                    number += decoder.decode(line).count("\n")
                decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            what += f" (byte 0x{error.object[error.start]:02x})"
        except UnicodeError as error:
            what += f" ({error})"
        advice = "save it as UTF-8 or write its encoding, such as encoding: latin-1"
        return DataError(f"{self.path}:{number}: {what}; {advice}")


def _lines(file: TextIO) -> str:
    """The next whole lines."""
    return file.read(BLOCK_CHARACTERS) + file.readline()


def _count(cells: list[str]) -> str:
    return "1 cell" if len(cells) == 1 else f"{len(cells)} cells"


def _sniff(lines: list[str]) -> str:
    """The delimiter that cuts the first lines into the most columns, the same number in each; `,` for one column."""

    def columns(delimiter: str) -> tuple[bool, int]:
        try:
            widths = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        except csv.Error:
            return False, 0
        width = widths[0] if widths else 1
        return width > 1 and set(widths) == {width}, width

    return max(DELIMITERS, key=columns)
