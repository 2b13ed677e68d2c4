"""What is to be learned: classification or regression, class names, and targets as a loss wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import quoted, sort_names
from dlscratch.datasets.scaling import shift_and_divisor
from dlscratch.datasets.tables import Arrays, Categories, Column, Table, as_categories, as_numbers, text_rows
from dlscratch.errors import CheckpointError, DataError
from dlscratch.nn.fields import check_fields

Task = Literal["classification", "regression"]

STATE = {"name": str, "task": Task, "classes": list[str], "mean": list[float], "std": list[float]}
MOST_CLASSES = 20  # distinct whole numbers in a column of numbers that still are classes
MOST_INTEGER_CLASSES = 256  # in an array of an integer type, such as the labels of an image set
ROWS_A_CLASS = 5  # fewer rows a distinct value than this, and the values are amounts


@dataclass(frozen=True)
class Target:
    """The task, the class names or the scale of the numbers; found once and stored with the model.

    Targets are int64 class numbers (N,) for classification and float32 (N, k), standardised by `mean` and `std`,
    for regression.
    """

    name: str
    task: Task
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for an example: one a class, or one a value."""
        return len(self.classes) if self.task == "classification" else len(self.mean)

    def encode(self, data: Table | Arrays) -> Array:
        """The targets of some data, as above; DataError names a class that was not there in training."""
        values = _values(data, self.name)
        if self.task == "classification":
            return self._class_numbers(data, values)
        return ((_numbers(data, self.name, values) - self.mean) / self.std).astype(np.float32)

    def inverse(self, outputs: Array) -> Array:
        """Regression outputs (N, k) in the units of the data."""
        return np.asarray(outputs * self.std + self.mean)

    def fit_scale(self, data: Table | Arrays, rows: Array) -> Target:
        """The same target with mean and standard deviation of the given rows; what is constant becomes 0."""
        values = _numbers(data, self.name, _values(data, self.name))[rows]
        low, high = values.min(axis=0), values.max(axis=0)
        mean, std = shift_and_divisor("standard", values.mean(axis=0), values.var(axis=0), low, high)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def state(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Target:
        """The target that `state` described; CheckpointError where it does not describe one."""
        check_fields(state, "target", STATE)
        target = cls(state["name"], state["task"], *(tuple(state[key]) for key in ("classes", "mean", "std")))
        scale = np.array([target.mean, target.std], np.float64) if len(target.mean) == len(target.std) else None
        if target.task == "classification" and not 2 <= len(target.classes) == len(set(target.classes)):
            raise CheckpointError("target: expected two classes or more, each once")
        if target.task == "regression" and (
            scale is None or not scale.size or not np.isfinite(scale).all() or not scale[1].all()
        ):
            raise CheckpointError("target: expected a finite mean and a std other than 0 of each number")
        return target

    def _class_numbers(self, data: Table | Arrays, values: Column) -> Array:
        column = _one_a_row(data, self.name, values)
        numbers = {name: number for number, name in enumerate(self.classes)}
        known = np.array([numbers.get(name, -1) for name in column.names], np.int64)
        encoded: Array = known[column.codes]
        unknown = np.flatnonzero(encoded < 0)
        if len(unknown):
            row = int(unknown[0])
            what = f'"{column.cell(row)}", which was not a class in training; the classes are {quoted(self.classes)}'
            raise DataError(f'{data.where(row)}: the target "{self.name}" is {what}')
        return encoded


def find_target(data: Table | Arrays, task: Literal["auto", "classification", "regression"] = "auto") -> Target:
    """The task and the classes of some data; the scale of numbers is left at 1 (see `fit_scale`).

    With "auto" a target of text is classes. Numbers are classes when they are whole and there are at most two of
    them, or at most 20 (256 in an array of an integer type) with five rows each on average; all else is regression.
    Classes are in the order of their numbers, or alphabetical. DataError: no target, a value that is missing or
    infinite, text for regression, fewer than two classes.
    """
    if data.target is None:
        raise DataError(f"{data.source}: no target is named; {_naming(data)}")
    values = _values(data, data.target)
    if task == "regression" or (task == "auto" and not _are_classes(values)):
        width = _numbers(data, data.target, values).shape[1]
        return Target(data.target, "regression", (), (0.0,) * width, (1.0,) * width)
    return Target(data.target, "classification", _classes(data, data.target, values))


def _naming(data: Table | Arrays) -> str:
    """How a config names the target."""
    if isinstance(data, Table):
        return f"write target: COLUMN beside path; the columns are {quoted(data.columns)}"
    return "write target: ARRAY beside path (npz), or labels: FILE beside images (idx)"


def _values(data: Table | Arrays, name: str) -> Column:
    """The target's column; text in an array becomes categories."""
    if isinstance(data, Table):
        return data.column(name)
    if data.targets is None:
        raise DataError(f'{data.source}: there are no targets ("{name}")')
    values = data.targets
    if values.dtype.kind in "US":
        names, codes = np.unique(values.astype(str), return_inverse=True)
        return Categories(codes.reshape(values.shape).astype(np.int32), tuple(map(str, names)))
    if values.dtype.kind not in "biuf":
        raise DataError(f'{data.source}: the target "{name}" has type {values.dtype}; expected numbers or text')
    return values


def _numbers(data: Table | Arrays, name: str, values: Column) -> Array:
    """The target as finite float64 (N, k)."""
    if isinstance(values, Categories):
        text = np.flatnonzero(text_rows(values))
        if len(text):
            cell = values.cell(int(text[0]))
            raise DataError(f'{data.where(int(text[0]))}: the target "{name}" is "{cell}"; regression needs numbers')
        values = as_numbers(values)
    numbers = values.reshape(len(values), -1).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(bad):
        row = int(bad[0])
        raise DataError(f'{data.where(row)}: the target "{name}" is {values[row]}; expected a finite number')
    return numbers


def _are_classes(values: Column) -> bool:
    """The rule of `find_target`."""
    if isinstance(values, Categories):
        return True
    if values.size != len(values) or not np.isfinite(values).all() or np.any(values != np.floor(values)):
        return False
    distinct = len(np.unique_counts(values).values)  # np.unique alone imports numpy.ma: 20 ms
    most = MOST_CLASSES if values.dtype.kind == "f" else MOST_INTEGER_CLASSES
    return distinct <= 2 or (distinct <= most and distinct * ROWS_A_CLASS <= len(values))


def _one_a_row(data: Table | Arrays, name: str, values: Column) -> Categories:
    """Class targets as text, one for each row, none missing."""
    column = as_categories(values)
    if column.codes.size != len(data):
        what = f'the target "{name}" has shape {column.codes.shape}'
        raise DataError(f"{data.source}: {what}; expected one class for each row")
    column = Categories(column.codes.reshape(-1), column.names)
    missing = np.flatnonzero(column.codes < 0)
    if len(missing):
        raise DataError(f'{data.where(int(missing[0]))}: the target "{name}" is missing')
    return column


def _classes(data: Table | Arrays, name: str, values: Column) -> tuple[str, ...]:
    """The names of the classes that occur, in order."""
    column = _one_a_row(data, name, values)
    classes = tuple(sort_names([column.names[code] for code in column.used]))
    if len(classes) < 2:
        what = f'the target "{name}" is "{classes[0]}" in every row'
        raise DataError(f"{data.source}: {what}; expected at least two classes")
    return classes
