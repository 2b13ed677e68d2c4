"""The options of preprocessing, and fitting them to the training rows of a table or of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge, Gt

from dlscratch.backend import Array
from dlscratch.datasets.array_preprocessor import ArrayPreprocessor
from dlscratch.datasets.preprocessor import Preprocessor
from dlscratch.datasets.table_preprocessor import TablePreprocessor
from dlscratch.datasets.tables import Arrays, Table
from dlscratch.datasets.targets import Target, find_target
from dlscratch.errors import CheckpointError, UsageError
from dlscratch.nn.fields import check_fields


class Preprocessing:
    """How raw data becomes a model's inputs; all numbers are found in the training rows and stored with the model."""

    def __init__(
        self,
        task: Annotated[
            Literal["auto", "classification", "regression"], Doc("what to learn; auto: told by the target")
        ] = "auto",
        scale: Annotated[
            Literal["standard", "minmax", "none", "ids"] | Annotated[float, Gt(0)],
            Doc(
                "standard: mean 0 and deviation 1; minmax: 0 to 1; a number: divide by it, such as 255; "
                "ids: integers as they are, for an embedding"
            ),
        ] = "standard",
        per_feature: Annotated[bool, Doc("arrays: scale each value of an example by itself, not all alike")] = False,
        shape: Annotated[
            list[Annotated[int, Gt(0)]] | None, Doc("arrays: the model's shape of an example, such as [1, 28, 28]")
        ] = None,
        channels_last: Annotated[
            bool, Doc("arrays: the last axis is the channels; it is moved to the front")
        ] = False,
        impute: Annotated[
            Literal["median", "mean"] | float, Doc("tables: what a missing number becomes, before scaling")
        ] = "median",
        missing_indicator: Annotated[
            bool, Doc("tables: add a 0/1 input for each column of numbers with missing ones")
        ] = False,
        unseen: Annotated[
            Literal["error", "ignore"], Doc("tables: a category that no training row has; ignore: all its inputs are 0")
        ] = "error",
        max_categories: Annotated[int, Ge(1), Doc("tables: more categories in a column are an error")] = 256,
        scale_target: Annotated[
            bool, Doc("regression: learn the target standardised; predictions and metrics stay in its own units")
        ] = True,
    ) -> None:
        if not isinstance(scale, str) and not scale > 0:
            raise UsageError(f"scale is {scale}; expected standard, minmax, none, ids or a number above 0")
        self.task = task
        self.scale = scale
        self.per_feature = per_feature
        self.shape = None if shape is None else tuple(shape)
        self.channels_last = channels_last
        self.impute = impute
        self.missing_indicator = missing_indicator
        self.unseen = unseen
        self.max_categories = max_categories
        self.scale_target = scale_target

    def fit(self, data: Table | Arrays, rows: Array | None = None) -> Preprocessor:
        """Find all numbers in the given rows, the training rows (None: all); classes come from the whole data."""
        rows = np.arange(len(data)) if rows is None else rows
        target = None if data.target is None else self._fit_target(data, rows)
        if isinstance(data, Arrays):
            return ArrayPreprocessor.fit(
                data,
                rows,
                target,
                scale=self.scale,
                per_feature=self.per_feature,
                shape=self.shape,
                channels_last=self.channels_last,
            )
        if self.scale == "ids":
            raise UsageError("scale is ids, which is for arrays of integers; the columns of a table are no such array")
        return TablePreprocessor.fit(
            data,
            rows,
            target,
            scale=self.scale,
            impute=self.impute,
            missing_indicator=self.missing_indicator,
            unseen=self.unseen,
            max_categories=self.max_categories,
        )

    def _fit_target(self, data: Table | Arrays, rows: Array) -> Target:
        target = find_target(data, self.task)
        return target.fit_scale(data, rows) if target.task == "regression" and self.scale_target else target


def preprocessor_from_state(state: Mapping[str, Any]) -> Preprocessor:
    """The fitted preprocessor that `state()` described; CheckpointError where it does not describe one."""
    kinds: dict[str, type[Preprocessor]] = {"table": TablePreprocessor, "arrays": ArrayPreprocessor}
    try:
        check_fields(state, "state", {"data": Literal["table", "arrays"]})
        return kinds[state["data"]].from_state(state)
    except CheckpointError as error:
        raise CheckpointError(f"the stored preprocessing is damaged: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"the stored preprocessing is damaged ({type(error).__name__}: {error})") from error
