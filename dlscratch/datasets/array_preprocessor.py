"""Arrays of examples for a model: reshaped, and scaled batch by batch, so that 8-bit images stay 8-bit in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.preprocessor import Preprocessor, target_from_state, target_state
from dlscratch.datasets.scaling import Scale, shift_and_divisor
from dlscratch.datasets.tables import Arrays, Kind, Table
from dlscratch.datasets.targets import Target
from dlscratch.errors import CheckpointError, DataError, UsageError
from dlscratch.nn.fields import check_fields

Values, Document = float | list[Any], dict[str, Any]
STATE = {"raw_shape": list[int], "shape": list[int], "shift": Values, "divisor": Values, "target": Document | None}
CHUNK = 1 << 20  # values that are looked at at a time


class ArrayPreprocessor(Preprocessor):
    """Arrays (N, *raw_shape) -> (N, *shape) in their own type; `convert` scales a batch to float32.

    `shift` and `divisor` have one value for all, or one for each of the shape's features. With `ids` the values are
    integers that name rows of an embedding, and stay what they are. With `channels_last` the last axis is moved to the
    front before all else.
    """

    def __init__(
        self,
        raw_shape: tuple[int, ...],
        shape: tuple[int, ...],
        shift: Array,
        divisor: Array,
        target: Target | None,
        ids: bool = False,
        channels_last: bool = False,
    ) -> None:
        self.raw_shape = raw_shape
        self.shape = shape
        self.shift = shift
        self.divisor = divisor
        self.target = target
        self.ids = ids
        self.channels_last = channels_last

    @classmethod
    def fit(
        cls,
        data: Arrays,
        rows: Array,
        target: Target | None,
        *,
        scale: Scale,
        per_feature: bool,
        shape: tuple[int, ...] | None,
        channels_last: bool = False,
    ) -> ArrayPreprocessor:
        """Find the scaling in the given rows, the training rows."""
        raw_shape = data.inputs.shape[1:]
        shape = _model_shape(data.source, raw_shape, shape, channels_last)
        ids = scale == "ids"
        unscaled = cls(raw_shape, shape, np.zeros(()), np.ones(()), target, ids, channels_last)
        inputs = unscaled.transform(data)
        if ids:
            return unscaled
        if not isinstance(scale, str) or scale == "none":
            zero = np.zeros(())
            scaling = shift_and_divisor(scale, zero, zero, zero, zero)
            return cls(raw_shape, shape, *scaling, target, ids, channels_last)
        mean, variance, low, high = _statistics(inputs, rows)
        if not per_feature:
            variance = (variance + (mean - mean.mean()) ** 2).mean()
            mean, low, high = mean.mean(), low.min(), high.max()
        return cls(raw_shape, shape, *shift_and_divisor(scale, mean, variance, low, high), target, ids, channels_last)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of an example, without the batch axis."""
        return self.shape

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Arrays have no names."""
        return ()

    @property
    def kinds(self) -> dict[str, Kind]:
        """Arrays have no columns."""
        return {}

    def transform(self, data: Table | Arrays) -> Array:
        """The inputs in the model's shape, a view in their own type; DataError for another shape, text or NaN."""
        if not isinstance(data, Arrays):
            raise DataError(f"{data.source}: holds a table, but the model was trained on arrays")
        inputs = data.inputs
        if inputs.shape[1:] != self.raw_shape:
            found, wanted = list(inputs.shape[1:]), list(self.raw_shape)
            raise DataError(f"{data.source}: an example has shape {found}, but the model was trained on {wanted}")
        if inputs.dtype.kind not in "biuf":
            raise DataError(f"{data.source}: the inputs have type {inputs.dtype}; expected numbers")
        if self.ids and inputs.dtype.kind not in "iu":
            raise DataError(f"{data.source}: the inputs have type {inputs.dtype}; scale: ids expects integers")
        if inputs.dtype.kind == "f":
            _check_finite(data)
        if self.channels_last:
            inputs = np.moveaxis(inputs, -1, 1)
        return inputs.reshape(len(inputs), *self.shape)

    def convert(self, x: Array) -> Array:
        """(x - shift) / divisor of a batch, in float32; in float64 on the way where the type of x needs it. Or ids."""
        if self.ids:
            return x
        scaled = x.astype(np.result_type(x.dtype, np.float32), order="C")
        if self.shift.any():
            scaled -= self.shift.astype(scaled.dtype)
        scaled /= self.divisor.astype(scaled.dtype)
        return scaled.astype(np.float32, copy=False)

    def state(self) -> dict[str, Any]:
        """Shapes, scaling and target as plain JSON."""
        return {
            "data": "arrays",
            "raw_shape": list(self.raw_shape),
            "shape": list(self.shape),
            "shift": self.shift.tolist(),
            "divisor": self.divisor.tolist(),
            "ids": self.ids,
            "channels_last": self.channels_last,
            "target": target_state(self.target),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ArrayPreprocessor:
        """The preprocessor that `state` described; CheckpointError where it does not describe one."""
        check_fields(state, "arrays", STATE, {"ids": bool, "channels_last": bool})
        shift, divisor = (np.array(state[key], np.float64) for key in ("shift", "divisor"))
        raw_shape, shape = tuple(state["raw_shape"]), tuple(state["shape"])
        finite = all(np.isfinite(x).all() and x.shape in ((), shape) for x in (shift, divisor))
        if not finite or not divisor.all():
            raise CheckpointError("expected a finite shift and a divisor other than 0 of each value")
        ids, channels_last = bool(state.get("ids")), bool(state.get("channels_last"))
        if math.prod(raw_shape) != math.prod(shape) or (channels_last and len(raw_shape) < 2):
            raise CheckpointError(f"{list(raw_shape)} values cannot be put into {list(shape)}")
        return cls(raw_shape, shape, shift, divisor, target_from_state(state), ids, channels_last)


def _model_shape(
    source: str, raw: tuple[int, ...], shape: tuple[int, ...] | None, channels_last: bool
) -> tuple[int, ...]:
    """The model's shape of an example; UsageError where the values do not fit it, or would only be mixed up by it."""
    example = f"an example of {source} has shape {list(raw)}"
    if channels_last and len(raw) < 2:
        raise UsageError(f"channels_last is true, but {example}; expected two or more axes, the last one of channels")
    first = (raw[-1], *raw[:-1]) if channels_last else raw or (1,)
    shape = shape or first
    if math.prod(shape) != math.prod(raw):
        raise UsageError(f"shape is {list(shape)}, {math.prod(shape)} values, but {example}, {math.prod(raw)} values")
    if sorted(shape) == sorted(first) and _longer(shape) != _longer(first):
        moved = not channels_last and shape == (raw[-1], *raw[:-1])
        advice = "write channels_last: true" if moved else "transpose the array in the file"
        moving = f"channels_last makes it {list(first)}, and " if channels_last else ""
        raise UsageError(
            f"shape is {list(shape)}, but {example}; {moving}shape keeps the values in their order and moves no axis: "
            f"pixels and channels would be mixed up; {advice} and leave shape out"
        )
    return shape


def _longer(shape: tuple[int, ...]) -> list[int]:
    """The sizes of a shape that count: an axis of size 1 can stand anywhere."""
    return [size for size in shape if size > 1]


def _chunks(inputs: Array, rows: Array) -> Iterator[Array]:
    """The rows of the inputs as float64, some at a time."""
    size = max(1, CHUNK // max(1, math.prod(inputs.shape[1:])))
    for first in range(0, len(rows), size):
        yield inputs[rows[first : first + size]].astype(np.float64)


def _statistics(inputs: Array, rows: Array) -> tuple[Array, Array, Array, Array]:
    """Mean, variance, minimum and maximum of each feature, in one pass over the rows.

    Chunks are joined as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979).
    """
    shape = inputs.shape[1:]
    count, mean, squares = 0, np.zeros(shape), np.zeros(shape)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for x in _chunks(inputs, rows):
        low, high = np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0))
        center = x.mean(axis=0)
        delta, total = center - mean, count + len(x)
        squares += ((x - center) ** 2).sum(axis=0) + delta**2 * (count * len(x) / total)
        mean += delta * (len(x) / total)
        count = total
    return mean, squares / count, low, high


def _check_finite(data: Arrays) -> None:
    size = max(1, CHUNK // max(1, math.prod(data.inputs.shape[1:])))
    for first in range(0, len(data), size):
        finite = np.isfinite(data.inputs[first : first + size]).reshape(-1, math.prod(data.inputs.shape[1:]))
        if not finite.all():
            row = first + int(np.argmin(finite.all(axis=1)))
            raise DataError(f"{data.where(row)} of the inputs holds NaN or an infinite number; expected finite numbers")
