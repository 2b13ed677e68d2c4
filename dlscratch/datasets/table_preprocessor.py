"""Columns of a table into one float32 matrix: imputed and scaled numbers, one-hot categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.cells import quoted
from dlscratch.datasets.preprocessor import Preprocessor, target_from_state, target_state
from dlscratch.datasets.scaling import Scale, median, shift_and_divisor
from dlscratch.datasets.tables import (
    Arrays,
    Categories,
    Column,
    Kind,
    Table,
    as_categories,
    as_numbers,
    check_columns,
    text_rows,
)
from dlscratch.datasets.targets import Target
from dlscratch.errors import CheckpointError, DataError
from dlscratch.nn.fields import check_fields

Impute = Literal["median", "mean"] | float
Unseen = Literal["error", "ignore"]
NUMBERS = {"name": str, "fill": float, "shift": float, "divisor": float}
TEXT = {"name": str, "categories": list[str], "missing": bool, "unseen": Unseen}


@dataclass(frozen=True)
class NumericFeature:
    """A column of numbers: missing ones become `fill`, then (x - shift) / divisor; `indicator` adds a 0/1 column."""

    name: str
    fill: float
    shift: float
    divisor: float
    indicator: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the model's inputs that come from the column."""
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def write(self, out: Array, table: Table, column: Column) -> None:
        """Fill `out` (N, 1 or 2) from the column; DataError where it holds text."""
        if isinstance(column, Categories):
            column = self._numbers(table, column)
        missing = np.isnan(column)
        out[:, 0] = (np.where(missing, self.fill, column) - self.shift) / self.divisor
        if self.indicator:
            out[:, 1] = missing

    def _numbers(self, table: Table, column: Categories) -> Array:
        """Categories that are all numbers, as a column may come without a reader's `kinds`."""
        rows = np.flatnonzero(text_rows(column))
        if len(rows):
            row = int(rows[0])
            place = f'{table.where(row)}: column "{self.name}" holds "{column.cell(row)}"'
            raise DataError(f"{place}, but the model was trained on numbers there")
        return as_numbers(column)


@dataclass(frozen=True)
class CategoricalFeature:
    """A column of text, one-hot: an input for each category of the training rows, and for missing if it occurred."""

    name: str
    categories: tuple[str, ...]
    missing: bool
    unseen: Unseen = "error"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the model's inputs that come from the column."""
        return tuple(f"{self.name}={text}" for text in (*self.categories, *["missing"] * self.missing))

    def write(self, out: Array, table: Table, column: Column) -> None:
        """Fill `out` (N, width) from the column; what was not there in training is an error, or all zeros."""
        column = as_categories(column)
        position = {text: number for number, text in enumerate(self.categories)}
        missing = len(self.categories) if self.missing else -1
        hot = np.array([*(position.get(text, -1) for text in column.names), missing])[column.codes]
        known = np.flatnonzero(hot >= 0)
        if len(known) < len(hot) and self.unseen == "error":
            row = int(np.argmin(hot))
            text = column.cell(row)
            what = "is missing" if text is None else f'is "{text}"'
            raise DataError(
                f'{table.where(row)}: column "{self.name}" {what}, which no training row was; known are '
                f"{quoted(self.categories)}; correct the cell, or train with unseen: ignore"
            )
        out[:] = 0
        out[known, hot[known]] = 1


Feature = NumericFeature | CategoricalFeature


class TablePreprocessor(Preprocessor):
    """A Table -> float32 (N, features): columns by name in any order, other columns are ignored."""

    def __init__(self, features: tuple[Feature, ...], target: Target | None) -> None:
        self.features = features
        self.target = target

    @classmethod
    def fit(
        cls,
        table: Table,
        rows: Array,
        target: Target | None,
        *,
        scale: Scale,
        impute: Impute,
        missing_indicator: bool,
        unseen: Unseen,
        max_categories: int,
    ) -> TablePreprocessor:
        """Find each column's numbers in the given rows, the training rows."""
        features: list[Feature] = []
        for name, column in table.features.items():
            if isinstance(column, Categories):
                features.append(_fit_categories(table, name, column.codes[rows], column.names, unseen, max_categories))
            else:
                features.append(_fit_numbers(table, name, column[rows], scale, impute, missing_indicator))
        if not features:
            raise DataError(f"{table.source}: no column is left to learn from")
        return cls(tuple(features), target)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The number of features."""
        return (len(self.feature_names),)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the matrix's columns."""
        return tuple(name for feature in self.features for name in feature.names)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What a reader should expect of each column."""
        return {
            feature.name: "numeric" if isinstance(feature, NumericFeature) else "categorical"
            for feature in self.features
        }

    def transform(self, data: Table | Arrays) -> Array:
        """The matrix of a table; DataError for a column that is missing, text among numbers, an unseen category."""
        if not isinstance(data, Table):
            raise DataError(f"{data.source}: holds arrays, but the model was trained on a table with named columns")
        check_columns(data.source, self.kinds, data.columns)
        out = np.empty((len(data), *self.input_shape), np.float32)
        first = 0
        for feature in self.features:
            after = first + len(feature.names)
            feature.write(out[:, first:after], data, data.columns[feature.name])
            first = after
        return out

    def convert(self, x: Array) -> Array:
        """The matrix is in the model's numbers already."""
        return x

    def state(self) -> dict[str, Any]:
        """Columns and target as plain JSON."""
        columns = [dict(vars(feature)) for feature in self.features]
        for column in columns:
            if "categories" in column:
                column["categories"] = list(column["categories"])
        return {"data": "table", "columns": columns, "target": target_state(self.target)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TablePreprocessor:
        """The preprocessor that `state` described; CheckpointError where it does not describe one."""
        check_fields(state, "table", {"columns": list[dict[str, Any]], "target": dict[str, Any] | None})
        features = tuple(map(_feature_from_state, state["columns"]))
        if not len(features) == len({feature.name for feature in features}) > 0:
            raise CheckpointError("expected one column or more, each once")
        return cls(features, target_from_state(state))


def _feature_from_state(column: dict[str, Any]) -> Feature:
    if "categories" in column:
        check_fields(column, "column of text", TEXT)
        return CategoricalFeature(**{**column, "categories": tuple(column["categories"])})
    check_fields(column, "column of numbers", NUMBERS, {"indicator": bool})
    if not np.isfinite([column[key] for key in ("fill", "shift", "divisor")]).all() or not column["divisor"]:
        raise CheckpointError(f'column "{column["name"]}": expected finite numbers, and a divisor other than 0')
    return NumericFeature(**column)


def _fit_numbers(
    table: Table, name: str, values: Array, scale: Scale, impute: Impute, missing_indicator: bool
) -> NumericFeature:
    missing = np.isnan(values)
    present = values[~missing]
    if isinstance(impute, str) and not len(present):
        raise DataError(f'{table.source}: column "{name}" has no value in the training rows; list it under drop')
    fill = float((median if impute == "median" else np.mean)(present) if isinstance(impute, str) else impute)
    filled = np.where(missing, fill, values)
    shift, divisor = shift_and_divisor(scale, filled.mean(), filled.var(), filled.min(), filled.max())
    return NumericFeature(name, fill, float(shift), float(divisor), bool(missing_indicator and missing.any()))


def _fit_categories(
    table: Table, name: str, codes: Array, names: tuple[str, ...], unseen: Unseen, max_categories: int
) -> CategoricalFeature:
    present = Categories(codes, names).used
    if len(present) > max_categories:
        raise DataError(
            f'{table.source}: column "{name}" has {len(present)} categories in {len(codes)} training rows; '
            f"list it under drop, or raise max_categories (now {max_categories})"
        )
    return CategoricalFeature(name, tuple(names[code] for code in present), bool((codes < 0).any()), unseen)
