"""What a data file holds: the reader that opens it, the target, and what should be left out, each with its reason."""

from __future__ import annotations

import contextlib
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import is_number, quoted
from dlscratch.datasets.csv_file import CsvFile
from dlscratch.datasets.csv_reader import MISSING, MOSTLY, SUFFIXES, CsvReader
from dlscratch.datasets.idx_reader import IdxReader, read_idx
from dlscratch.datasets.npz_reader import NpzReader
from dlscratch.datasets.preprocessing import Preprocessing
from dlscratch.datasets.sources import existing_file, expand, open_binary
from dlscratch.datasets.tables import Arrays, Categories, Column, Table, missing_rows
from dlscratch.datasets.targets import Target, find_target
from dlscratch.errors import DataError, UsageError, did_you_mean

Task = Literal["auto", "classification", "regression"]

LIKELY_TARGETS = ("target", "label", "class", "species", "category", "outcome", "output", "y")
INPUTS = ("x_train", "train_images", "x", "inputs", "images", "data", "features")  # arrays of an .npz, lower case
TARGETS = ("y_train", "train_labels", "y", "targets", "labels", "target", "label")
MOST_CATEGORIES = 256  # the preprocessing's own default
FEW_ROWS = 10  # a column of fewer values may have none among the training rows
ODD_TEXTS = 5  # different texts in a column of numbers that can still be ways to say "missing"


@dataclass(frozen=True)
class Found:
    """The reader and its options, the data it gives, the target, and what a person should know.

    `test` holds the options for test rows of their own; `notes` the reasons for an option, by its name.
    """

    reader: str
    options: dict[str, Any]
    data: Table | Arrays
    target: Target
    test: dict[str, Any] | None = None
    notes: dict[str, list[str]] = field(default_factory=dict)

    def class_counts(self) -> dict[str, int]:
        """The rows of each class; empty for regression."""
        if self.target.task == "regression":
            return {}
        counts = np.bincount(self.target.encode(self.data), minlength=len(self.target.classes))
        return dict(zip(self.target.classes, map(int, counts), strict=True))


def look_at(path: Path, target: str | None = None, task: Task = "auto") -> Found:
    """Read the data and find out what to learn. UsageError without a target to go by, DataError for unusable data."""
    kind = _kind(path)
    if kind == "csv":
        return _look_at_csv(path, target, task)
    reader, options, test = (_npz_options if kind == "npz" else _idx_options)(path, target)
    data = reader(**options).read()
    Preprocessing(task=task, scale="none").fit(data)  # refuses inputs that are no finite numbers
    return Found(kind, options, data, find_target(data, task), test)


def _kind(path: Path) -> str:
    """The reader for a file, told by its first bytes; a folder is told by the names in it."""
    if path.is_dir():
        return "idx" if _images_in(path) else "csv"
    with open_binary(existing_file(path)) as file:
        start = file.read(4096)
    if start.startswith(b"PK"):
        return "npz"
    if re.match(rb"\0\0[\x08\x09\x0b-\x0e]", start):
        return "idx"
    if b"\0" in start:
        raise DataError(f"{path}: is binary, and neither NPZ nor IDX; save it as CSV in UTF-8, or with numpy.savez")
    return "csv"


def _look_at_csv(path: Path, name: str | None, task: Task) -> Found:
    options: dict[str, Any] = {"path": str(path), **_encoding(path)}
    header = CsvFile(expand([path], SUFFIXES)[0], options.get("encoding", "utf-8-sig")).header
    options["target"] = _checked_target(path, name, header)
    table, added, notes = _read_table(options, header)
    options |= added
    if "encoding" in options:
        notes["encoding"] = ["the file is not UTF-8; if names look wrong, write its encoding"]
    if table.dropped:
        options["missing_target"] = "drop"
        notes["missing_target"] = [f"{_rows(table.dropped)} without a target"]
    target = find_target(table, task)
    if reasons := _useless(table):
        options["drop"] = list(reasons)
        notes["drop"] = [f'"{column}": {reason}' for column, reason in reasons.items()]
    return Found("csv", options, table, target, None, notes)


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


def _checked_target(path: Path, name: str | None, header: list[str]) -> str:
    if name in header:
        return name
    columns = f"the columns are {quoted(header, 60)}"
    if name is not None:
        raise UsageError(f'{path}: there is no column "{name}"{did_you_mean(name, header)}; {columns}')
    likely = next((column for likely in LIKELY_TARGETS for column in header if column.lower() == likely), header[-1])
    hint = "; the names are all numbers: is the header line missing?" if all(map(is_number, header)) else ""
    raise UsageError(f"{path}: which column is to be learned? For example --target {quote(likely)}; {columns}{hint}")


def _read_table(options: dict[str, Any], header: list[str]) -> tuple[Table, dict[str, Any], dict[str, list[str]]]:
    """The table, and the options that it takes to read text among the numbers of a column, with the reasons."""
    options = {**options, "missing_target": "drop"}
    try:
        return CsvReader(**options).read(), {}, {}
    except DataError:
        cells = CsvReader(**options, categorical=header).read()
    added: dict[str, Any] = {}
    notes: dict[str, list[str]] = {}
    for name, column in cells.columns.items():
        texts = _odd_texts(column)
        if texts and len(texts) <= ODD_TEXTS:
            missing = added.setdefault("missing", list(MISSING))
            missing.extend(text for text in texts if text not in missing)
            notes.setdefault("missing", []).append(f'"{name}" has numbers, and {quoted(texts)}')
        elif texts:
            added.setdefault("categorical", []).append(name)
            notes.setdefault("categorical", []).append(f'"{name}" has numbers, and texts such as {quoted(texts[:3])}')
    return CsvReader(**options, **added).read(), added, notes


def _odd_texts(column: Column) -> list[str]:
    """The texts in a column of mostly numbers that are no finite numbers; none where it is no such column."""
    if not isinstance(column, Categories):
        return []
    odd = [not is_number(name) or not np.isfinite(float(name)) for name in column.names]
    present = column.codes[column.codes >= 0]
    count = int(np.array([*odd, False])[present].sum())
    mostly = len(present) and len(present) - count >= MOSTLY * len(present)
    return [name.strip() for name, is_odd in zip(column.names, odd, strict=True) if is_odd] if mostly else []


def _useless(table: Table) -> dict[str, str]:
    """The columns that should be left out, and why. DataError where nothing would be left to learn from."""
    found = {name: reason for name, column in table.features.items() if (reason := _why_useless(column))}
    if len(found) == len(table.features):  # a column that counts may be what there is to learn from
        found = {name: reason for name, reason in found.items() if not reason.startswith("counts")}
    if len(found) == len(table.features):
        reasons = "; ".join(f'"{name}": {reason}' for name, reason in found.items()) or "there is no other column"
        raise DataError(f"{table.source}: there is nothing to learn from: {reasons}")
    return found


def _why_useless(column: Column) -> str | None:
    rows, present = len(column), len(column) - int(missing_rows(column).sum())
    if present < min(FEW_ROWS, rows):
        return f"only {present} of {rows} rows have a value" if present else "no row has a value"
    if isinstance(column, Categories):
        distinct = len(np.unique(column.codes[column.codes >= 0]))
        if distinct == present > 1:
            return "a text of its own in every row, which tells rows apart and teaches nothing"
        if distinct > MOST_CATEGORIES:
            return f"{distinct} different texts, too many to make an input of each"
        return "the same in every row" if distinct == 1 and present == rows else None
    values = column[~np.isnan(column)]
    if values.min() == values.max() and present == rows:
        return "the same in every row"
    if present == rows > 2 and _counts(values):
        return f"counts the rows, {values.min():.0f} to {values.max():.0f}: it tells rows apart and teaches nothing"
    return None


def _counts(values: Array) -> bool:
    """Whether values are consecutive whole numbers in any order."""
    ordered = np.sort(values)
    return bool(ordered[0] == np.floor(ordered[0]) and np.all(np.diff(ordered) == 1))


def _npz_options(path: Path, name: str | None) -> tuple[type[NpzReader], dict[str, Any], dict[str, Any] | None]:
    """The arrays of inputs and targets by their usual names, or by `name` and equal first sizes."""
    arrays = _npz_shapes(path)
    listed = ", ".join(f'"{array}" {shape}' for array, shape in arrays.items()) or "none"
    if name is not None and name not in arrays:
        raise UsageError(f'{path}: there is no array "{name}"{did_you_mean(name, arrays)}; the arrays are {listed}')
    target = name or _usual(TARGETS, arrays)
    if target is None:
        raise UsageError(f"{path}: which array is to be learned? Name it with --target; the arrays are {listed}")
    others = {array: shape for array, shape in arrays.items() if array != target and shape[0] == arrays[target][0]}
    inputs = _usual(INPUTS, others) or max(others, key=lambda array: np.prod(others[array]), default=None)
    if inputs is None:
        raise UsageError(f'{path}: no array has one entry for each of "{target}"; the arrays are {listed}')
    test = inputs.replace("train", "test"), target.replace("train", "test")
    own = {"path": str(path), "inputs": test[0], "target": test[1]} if {*test} <= {*arrays} - {inputs, target} else None
    return NpzReader, {"path": str(path), "inputs": inputs, "target": target}, own


def _npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in an archive that can be used."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: is not a whole .npz file ({error}); write it again with numpy.savez") from error
    names = [member.removesuffix(".npy") for member in members if member.endswith(".npy")]
    if not names:
        raise DataError(f"{path}: is an archive without arrays; a spreadsheet or another archive must be saved as CSV")
    shapes = {}
    for name in names:
        with contextlib.suppress(DataError):  # single numbers and objects are there, but no use
            shapes[name] = NpzReader(str(path), inputs=name, target=None).read().inputs.shape
    return shapes


def _usual(names: tuple[str, ...], arrays: dict[str, tuple[int, ...]]) -> str | None:
    return next((array for usual in names for array in arrays if array.lower() == usual), None)


def _idx_options(path: Path, labels: str | None) -> tuple[type[IdxReader], dict[str, Any], dict[str, Any] | None]:
    """The images, the labels beside them, and the test set beside both."""
    path = _images_in(path)[0] if path.is_dir() else path
    if read_idx(path).ndim < 2:
        raise UsageError(f"{path}: holds one number an entry, as labels do; name the file of images")
    beside = Path(labels) if labels else _labels_beside(path)
    if beside is None:
        raise UsageError(f"{path}: found no file of labels beside it; name it with --target")
    tests = [path.with_name(re.sub("train", other, path.name, count=1)) for other in ("t10k", "test")]
    own = next((_images_and_labels(images) for images in tests if images != path and images.is_file()), None)
    return IdxReader, {"images": str(path), "labels": str(existing_file(beside))}, own


def _images_in(folder: Path) -> list[Path]:
    """The IDX files of images in a folder, the training set first."""
    names = sorted(item for item in folder.iterdir() if re.search(r"images[-.]idx\d", item.name) and item.is_file())
    return sorted(names, key=lambda item: "train" not in item.name)


def _images_and_labels(images: Path) -> dict[str, Any] | None:
    labels = _labels_beside(images)
    return None if labels is None else {"images": str(images), "labels": str(labels)}


def _labels_beside(images: Path) -> Path | None:
    """The file whose name says labels where that of the images says images; both with or without .gz."""
    name = re.sub(r"idx\d", "idx1", images.name.replace("images", "labels")).removesuffix(".gz")
    candidates = (images.with_name(name + suffix) for suffix in (".gz", ""))
    return next((path for path in candidates if path != images and path.is_file()), None)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
