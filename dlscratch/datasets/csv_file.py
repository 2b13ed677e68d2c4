"""One CSV file: its encoding, delimiter, decimal mark, header, and rows in blocks; every complaint names the line."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar

import numpy as np

from dlscratch.backend import Array, thread_count
from dlscratch.datasets.ahead import ahead
from dlscratch.datasets.cells import Decimal, decimal_of, is_number
from dlscratch.datasets.csv_lines import Lines, TextLines, pieces
from dlscratch.datasets.csv_numbers import Cells, PlainRows, cut, plain_rows
from dlscratch.datasets.sources import open_binary
from dlscratch.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
BLOCK_ROWS, BLOCK_CELLS, SNIFFED_LINES = 4096, 1 << 20, 20
LONGEST_LINE = 1 << 22  # bytes that NumPy takes at a time: it needs 20 times that memory
MOST_ODD = 0.5  # of the cells of plain rows: cell by cell, the csv module is faster

Block = TypeVar("Block", PlainRows, Array)


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
        numbers = numbers and self.decimal == "."
        with self._open_binary() as file:
            lines = TextLines(pieces(file, self.encoding))
            line, _ = next(self._records(lines))
            above = line - 1 + self._header_lines
            with closing(self._plain_blocks(lines.rest(), numbers)) as blocks:
                count, left = yield from _until_none(blocks)
                if numbers and not text and not count:
                    count, left = yield from _until_none((lines, self._matrix(lines)) for lines in left)
                texts = chain.from_iterable(io.StringIO(lines.text(), newline="") for lines in left)
                records = self._records(texts, above + count, len(self.header))
                while block := [record for _, record in islice(records, self._rows)]:
                    yield block

    def _plain_blocks(self, left: Iterator[Lines], numbers: bool) -> Generator[tuple[Lines, PlainRows | None]]:
        """Lines and what they hold, if it is plain rows of numbers: one thread cuts cells, another reads numbers."""
        pairs = ((lines, self._cells(lines) if numbers else None) for lines in left)
        yield from ahead(self._plain, pairs) if thread_count() > 1 else map(self._plain, pairs)

    def _cells(self, lines: Lines) -> Cells | None:
        """The cells of lines without quotes; None where there are any, or a row is huge."""
        return cut(lines, self.delimiter, len(self.header)) if lines.end < LONGEST_LINE else None

    def _plain(self, pair: tuple[Lines, Cells | None]) -> tuple[Lines, PlainRows | None]:
        """The numbers in cells; None where most cells are odd ones."""
        lines, cells = pair
        rows = None if cells is None else plain_rows(cells, len(self.header))
        most = rows is None or np.count_nonzero(rows.odd) > MOST_ODD * rows.odd.size
        return lines, None if most else rows

    def _matrix(self, lines: Lines) -> Array | None:
        """Numbers of any form through NumPy's tokenizer, which is slower; None where there is anything else."""
        text = lines.text()
        if "\r" in text.replace("\r\n", "") or not all(map(is_number, text.partition("\n")[0].split(self.delimiter))):
            return None
        try:
            block = np.loadtxt(text.split("\n"), delimiter=self.delimiter, comments=None, ndmin=2)
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
        with self._open_binary() as file:
            yield io.TextIOWrapper(file, encoding=self.encoding, newline="")

    @contextmanager
    def _open_binary(self) -> Iterator[BinaryIO]:
        with open_binary(self.path) as file:
            try:
                yield file
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


def _until_none(
    blocks: Iterator[tuple[Lines, Block | None]],
) -> Generator[Block, None, tuple[int, Iterator[Lines]]]:
    """The blocks before the first None; returns the number of their lines, and the lines of the others."""
    count = 0
    for lines, block in blocks:
        if block is None:
            return count, chain([lines], (lines for lines, _ in blocks))
        yield block
        count += len(block) if isinstance(block, PlainRows) else lines.text().count("\n")
    return count, iter(())


def _count(cells: list[str]) -> str:
    return "1 cell" if len(cells) == 1 else f"{len(cells)} cells"


def _sniff(lines: list[str]) -> str:
    """The delimiter that cuts the first lines into the most columns, the same number in each; `,` for one column."""

    def columns(delimiter: str) -> tuple[bool, int]:
        """Whether all lines have the same number of columns and more than one; and this number."""
        try:
            widths = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        except csv.Error:
            return False, 0
        width = widths[0] if widths else 1
        return width > 1 and set(widths) == {width}, width

    return max(DELIMITERS, key=columns)
