"""What a CSV holds: the options that its reader needs, the target, what should be left out; each with its reason."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any, Literal

import numpy as np

from dlscratch.config.columns import leading_zeros, why_useless, with_thousands
from dlscratch.datasets.cells import MOSTLY, Decimal, is_number, number, quoted
from dlscratch.datasets.csv_file import CsvFile
from dlscratch.datasets.csv_reader import MISSING, SUFFIXES, CsvReader
from dlscratch.datasets.sources import expand, open_binary
from dlscratch.datasets.tables import Categories, Column, Table, missing_rows
from dlscratch.datasets.targets import find_target
from dlscratch.errors import DataError, UsageError, did_you_mean

Task = Literal["auto", "classification", "regression"]

LIKELY_TARGETS = ("target", "label", "class", "species", "category", "outcome", "output", "y")
ODD_TEXTS = 5  # different texts in a column of numbers that can still be ways to say "missing"
PARTS = 3  # training, validation and test: each needs a row of every class
LITTLE = 0.05  # of the rows may be left out with the rare classes


class CsvFindings:
    """The options that a CSV needs and the reasons for each (`notes`, by option), the table, and the target."""

    def __init__(self, path: Path, name: str | None, task: Task) -> None:
        self.options: dict[str, Any] = {"path": str(path), **_encoding(path)}
        self.notes: dict[str, list[str]] = {}
        file = CsvFile(expand([path], SUFFIXES)[0], self.options.get("encoding", "utf-8-sig"))
        self.options["target"] = _checked_target(path, name, file.header)
        if "encoding" in self.options:
            self._note("encoding", "the file is not UTF-8; if names look wrong, write its encoding")
        self.decimal: Decimal = file.looks_decimal()
        if self.decimal == ",":
            self.options["decimal"] = ","
            self._note("decimal", "numbers are written as 1,5")
        self.texts = _with_zeros(file)  # why a column is text, by its name
        self.table = self._read_table(file.header)
        self._check_target()
        if self.table.dropped:
            self._note("missing_target", f"{_rows(self.table.dropped)} without a target")
        self.target = find_target(self.table, task)
        if self.target.task == "classification":
            self._leave_out_rare_classes()
            self.target = find_target(self.table, task)
        self._tell()

    def _note(self, option: str, note: str) -> None:
        self.notes.setdefault(option, []).append(note)

    def _reader(self, **more: Any) -> CsvReader:
        """A reader with what was found so far, and more; rows without a target are left out."""
        found = self.options | {"categorical": list(self.texts), "missing_target": "drop"}
        return CsvReader(**found | more)

    def _read_table(self, header: list[str]) -> Table:
        """The table; what it takes to read text among the numbers of a column is noted."""
        try:
            return self._reader().read()
        except DataError:
            cells = self._reader(categorical=header).read()
        for name, column in cells.columns.items():
            texts = [] if name in self.texts else _odd_texts(column, self.decimal)
            if not texts:
                continue
            if len(texts) <= ODD_TEXTS and not any(map(str.isdecimal, "".join(texts))):
                self._missing(texts)
                self._note("missing", f'"{name}" has numbers, and {quoted(texts)}')
            else:
                self.texts[name] = f"has numbers, and texts such as {quoted(texts[:3])}"
        return self._reader().read()

    def _missing(self, texts: list[str]) -> None:
        missing = self.options.setdefault("missing", list(MISSING))
        missing.extend(text for text in texts if text not in missing)

    def _check_target(self) -> None:
        """DataError where the target would be classes, but is amounts."""
        name = self.options["target"]
        if thousands := with_thousands(self.table.columns[name], self.decimal):
            raise DataError(f'{self.table.source}: the target "{name}" {thousands}')

    def _leave_out_rare_classes(self) -> None:
        """Take classes that cannot be in every part for missing, so that all others can be tested.

        Not where that is more than a little, or where it would take a cell of another column for missing as well.
        """
        classes = self.target.encode(self.table)
        counts = np.bincount(classes)
        rare = np.flatnonzero(counts < PARTS)
        if not len(rare) or len(counts) - len(rare) < 2 or counts[rare].sum() > LITTLE * len(classes):
            return
        names = [self.target.classes[number] for number in rare]
        missing = [*self.options.get("missing", MISSING), *names]
        without = self._reader(missing=missing).read()
        if _missing_cells(without) != _missing_cells(self.table.take(np.flatnonzero(~np.isin(classes, rare)))):
            return
        self._missing(names)
        self.table = without
        for name, count in zip(names, counts[rare], strict=True):
            what = f'class "{name}" has {_rows(count)}, too few for training, validation and test'
            self._note("missing", f"{what}: it is left out, as if it were missing")

    def _tell(self) -> None:
        """Write down what is left out, and which of the other columns are text."""
        if self.table.dropped:
            self.options["missing_target"] = "drop"
        useless = _useless(self.table, self.decimal)
        texts = {name: why for name, why in self.texts.items() if name not in useless}
        for option, reasons in (("drop", useless), ("categorical", texts)):
            if reasons:
                self.options[option] = list(reasons)
            for name, why in reasons.items():
                self._note(option, f'"{name}"{":" * (option == "drop")} {why}')


def _missing_cells(table: Table) -> tuple[int, dict[str, int]]:
    """The number of rows, and of missing cells in each column."""
    return len(table), {name: int(missing_rows(column).sum()) for name, column in table.columns.items()}


def _encoding(path: Path) -> dict[str, Any]:
    """The option that a file needs that is not UTF-8."""
    for file in expand([path], SUFFIXES):
        with open_binary(file) as lines:
            try:
                for line in lines:
                    line.decode("utf-8")
            except UnicodeDecodeError:
                return {"encoding": "latin-1"}
    return {}


def _with_zeros(file: CsvFile) -> dict[str, str]:
    """Why columns of digits are names rather than amounts."""
    first = map(leading_zeros, zip(*file.first_rows(), strict=True))
    found = {name: cell for name, cell in zip(file.header, first, strict=False) if cell}
    return {name: f"has leading zeros, as in {cell}: names have them, amounts do not" for name, cell in found.items()}


def _checked_target(path: Path, name: str | None, header: list[str]) -> str:
    if name in header:
        return name
    columns = f"the columns are {quoted(header, 60)}"
    if name is not None:
        raise UsageError(f'{path}: there is no column "{name}"{did_you_mean(name, header)}; {columns}')
    likely = next((column for likely in LIKELY_TARGETS for column in header if column.lower() == likely), header[-1])
    hint = "; the names are all numbers: is the header line missing?" if all(map(is_number, header)) else ""
    raise UsageError(f"{path}: which column is to be learned? For example --target {quote(likely)}; {columns}{hint}")


def _odd_texts(column: Column, decimal: Decimal) -> list[str]:
    """The texts in a column of mostly numbers that are no finite numbers; none where it is no such column."""
    if not isinstance(column, Categories):
        return []
    odd = [not is_number(name, decimal) or not np.isfinite(number(name, decimal)) for name in column.names]
    text = [is_odd and not is_number(name) for name, is_odd in zip(column.names, odd, strict=True)]
    present = column.codes[column.codes >= 0]
    count = int(np.array([*text, False])[present].sum())
    mostly = len(present) and len(present) - count >= MOSTLY * len(present)
    return [name.strip() for name, is_odd in zip(column.names, odd, strict=True) if is_odd] if mostly else []


def _useless(table: Table, decimal: Decimal) -> dict[str, str]:
    """The columns that should be left out, and why. DataError where nothing would be left to learn from."""
    found = {name: reason for name, column in table.features.items() if (reason := why_useless(column, decimal))}
    if len(found) == len(table.features):  # a column that counts may be what there is to learn from
        found = {name: reason for name, reason in found.items() if not reason.startswith("counts")}
    if len(found) == len(table.features):
        reasons = "; ".join(f'"{name}": {reason}' for name, reason in found.items()) or "there is no other column"
        raise DataError(f"{table.source}: there is nothing to learn from: {reasons}")
    return found


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
