"""What is to be learned: classification or regression, class names, and targets as a loss wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.csv_columns import sort_names
from dlscratch.datasets.tables import Arrays, Categories, Column, Kind, Table, kind_of, number_name
from dlscratch.errors import DataError

Task = Literal["classification", "regression"]

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
    kind: Kind = "numeric"
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
        """The same target with mean and standard deviation of the given rows; 1 stands for a deviation of 0."""
        values = _numbers(data, self.name, _values(data, self.name))[rows]
        constant = values.min(axis=0) == values.max(axis=0)
        std = np.where(constant, 1.0, values.std(axis=0))
        return replace(self, mean=tuple(map(float, values.mean(axis=0))), std=tuple(map(float, std)))

    def state(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "kind": self.kind,
            "classes": list(self.classes),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Target:
        """The target that `state` described."""
        lists = {key: tuple(state[key]) for key in ("classes", "mean", "std")}
        return cls(state["name"], state["task"], state["kind"], **lists)

    def _class_numbers(self, data: Table | Arrays, values: Column) -> Array:
        column = _as_categories(values)
        numbers = {name: number for number, name in enumerate(self.classes)}
        known = np.array([*(numbers.get(name, -1) for name in column.names), -1], np.int64)
        encoded: Array = known[column.codes]
        unknown = np.flatnonzero(encoded < 0)
        if len(unknown):
            row = int(unknown[0])
            name = column.cell(row)
            what = "is missing" if name is None else f'is "{name}", which was not a class in training'
            listed = ", ".join(f'"{name}"' for name in self.classes)
            raise DataError(f'{data.where(row)}: the target "{self.name}" {what}; the classes are {listed}')
        return encoded


def find_target(data: Table | Arrays, task: Literal["auto", "classification", "regression"] = "auto") -> Target:
    """The task and the classes of some data; the scale of numbers is left at 1 (see `fit_scale`).

    With "auto" a target of text is classes. Numbers are classes when they are whole and there are at most two of
    them, or at most 20 (256 in an array of an integer type) with five rows each on average; all else is regression.
    Classes are in the order of their numbers, or alphabetical. DataError: no target, a value that is missing or
    infinite, text for regression, fewer than two classes.
    """
    if data.target is None:
        raise DataError(f"{data.source}: no target is named; name the column or array to learn")
    values = _values(data, data.target)
    if not isinstance(values, Categories):
        numbers = _numbers(data, data.target, values)
        if task == "regression" or (task == "auto" and not _are_classes(values)):
            width = numbers.shape[1]
            return Target(data.target, "regression", "numeric", (), (0.0,) * width, (1.0,) * width)
        if numbers.shape[1] != 1:
            raise DataError(f'{data.source}: the target "{data.target}" has shape {values.shape}; classes are one a row')
    elif task == "regression":
        raise DataError(f'{data.source}: the target "{data.target}" is text; regression needs numbers')
    return Target(data.target, "classification", kind_of(values), _classes(data, data.target, values))


def _values(data: Table | Arrays, name: str) -> Column:
    """The target's column; text in an array becomes categories."""
    if isinstance(data, Table):
        return data.column(name)
    if data.targets is None:
        raise DataError(f'{data.source}: there are no targets ("{name}")')
    values = data.targets
    if values.dtype.kind in "US":
        names, codes = np.unique(values.astype(str), return_inverse=True)
        return Categories(codes.reshape(len(values), -1)[:, 0].astype(np.int32), tuple(map(str, names)))
    if values.dtype.kind not in "biuf":
        raise DataError(f'{data.source}: the target "{name}" has type {values.dtype}; expected numbers or text')
    return values


def _numbers(data: Table | Arrays, name: str, values: Column) -> Array:
    """The target as finite float64 (N, k)."""
    if isinstance(values, Categories):
        raise DataError(f'{data.source}: the target "{name}" is text; regression needs numbers')
    numbers = values.reshape(len(values), -1).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(bad):
        row = int(bad[0])
        raise DataError(f'{data.where(row)}: the target "{name}" is {values[row]}; expected a finite number')
    return numbers


def _are_classes(values: Array) -> bool:
    """The rule of `find_target` for numbers."""
    if values.size != len(values) or np.any(values != np.floor(values)):
        return False
    distinct = len(np.unique(values))
    most = MOST_CLASSES if values.dtype.kind == "f" else MOST_INTEGER_CLASSES
    return distinct <= 2 or (distinct <= most and distinct * ROWS_A_CLASS <= len(values))


def _as_categories(values: Column) -> Categories:
    """Numbers by their names, `3` for 3.0."""
    if isinstance(values, Categories):
        return values
    distinct, codes = np.unique(values, return_inverse=True)
    names = tuple("" if np.isnan(number) else number_name(number) for number in distinct)
    codes = np.where(np.isnan(values.reshape(-1)), -1, codes.reshape(-1))
    return Categories(codes, names)


def _classes(data: Table | Arrays, name: str, values: Column) -> tuple[str, ...]:
    """The names of the classes that occur, in order."""
    column = _as_categories(values)
    missing = np.flatnonzero(column.codes < 0)
    if len(missing):
        raise DataError(f'{data.where(int(missing[0]))}: the target "{name}" is missing')
    classes = tuple(sort_names([column.names[code] for code in np.unique(column.codes)]))
    if len(classes) < 2:
        raise DataError(f'{data.source}: the target "{name}" is "{classes[0]}" in every row; expected two classes or more')
    return classes
