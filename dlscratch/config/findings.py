"""What a data file holds: the reader that opens it, the target, and what should be left out, each with its reason."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch.archives import ArchiveError
from dlscratch.config.csv_findings import CsvFindings, Task
from dlscratch.datasets.idx_reader import IdxReader, read_idx
from dlscratch.datasets.npz_reader import NpzReader, opened
from dlscratch.datasets.preprocessing import Preprocessing
from dlscratch.datasets.sources import existing_file, open_binary
from dlscratch.datasets.tables import Arrays, Table
from dlscratch.datasets.targets import Target, find_target
from dlscratch.errors import DataError, UsageError, did_you_mean

INPUTS = ("x_train", "train_images", "x", "inputs", "images", "data", "features")  # arrays of an .npz, lower case
TARGETS = ("y_train", "train_labels", "y", "targets", "labels", "target", "label")


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
        csv = CsvFindings(path, target, task)
        return Found("csv", csv.options, csv.table, csv.target, None, csv.notes)
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
    shapes: dict[str, tuple[int, ...]] = {}
    with opened(path) as archive:
        for name in archive.names:
            with contextlib.suppress(ArchiveError):  # an array of objects is there, but no use; damage is told later
                shape = archive.shape(name)
                shapes |= {name: shape} if shape and shape[0] else {}  # nor are single numbers
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
