"""Metrics: what a model's outputs are worth, over any number of batches.

A metric is a pair of functions. `sums(output, target)` are numbers of one batch that may simply be added up over all
batches, in float64; `results(sums)` makes of their total what is reported. So a metric keeps nothing itself, and the
total of half an epoch can be saved as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

import numpy as np
from annotated_doc import Doc
from annotated_types import Gt

from dlscratch.autograd import no_grad, wrap
from dlscratch.backend import Array
from dlscratch.errors import CheckpointError, ShapeError, UsageError, did_you_mean
from dlscratch.nn import Layer, Loss
from dlscratch.nn.options import check_options

Result = float | list[float] | list[list[int]]
Results = dict[str, Result]

HIGHER_IS_BETTER = ("accuracy", "f1", "r2")  # how the names of such results end


class Metric:
    """What all metrics share; `training` tells whether one is cheap enough to be followed on training batches."""

    training: ClassVar[bool] = False

    def sums(self, output: Array, target: Array) -> Array:
        """Numbers of one batch that add up over batches."""
        raise NotImplementedError

    def results(self, sums: Array) -> Results:
        """What the total tells, by name."""
        raise NotImplementedError


class Accuracy(Metric):
    """The part of the examples whose predicted class is theirs."""

    training = True

    def sums(self, output: Array, target: Array) -> Array:
        predicted, actual = classes_of(output, target)
        return np.array([np.count_nonzero(predicted == actual), np.count_nonzero(actual >= 0)], float)

    def results(self, sums: Array) -> Results:
        return {"accuracy": _ratio(sums[0], sums[1])}


class TopK(Metric):
    """The part of the examples whose class is among their k largest outputs, ties counting for the class."""

    def __init__(self, k: Annotated[int, Gt(0), Doc("how many of the largest outputs count")] = 5) -> None:
        self.k = k
        check_options(self)

    def sums(self, output: Array, target: Array) -> Array:
        """The number of hits, and that of the examples that count."""
        _, actual = classes_of(output, target)
        if self.k > output.shape[1]:
            raise UsageError(f"top_k: k is {self.k}, but the model has {output.shape[1]} outputs; choose a smaller k")
        counted = actual >= 0
        own = np.take_along_axis(output, np.expand_dims(np.where(counted, actual, 0), 1), axis=1)
        larger = ((output > own) | np.isnan(own)).sum(axis=1)  # a NaN is among the largest of nothing
        hits = np.count_nonzero(larger[counted] < self.k)
        return np.array([hits, np.count_nonzero(counted)], float)

    def results(self, sums: Array) -> Results:
        return {f"top_{self.k}_accuracy": _ratio(sums[0], sums[1])}


class ConfusionMatrix(Metric):
    """How many examples of each class (row) were taken for each class (column)."""

    def sums(self, output: Array, target: Array) -> Array:
        predicted, actual = classes_of(output, target)
        classes, counted = max(output.shape[1], 2), actual >= 0
        pairs = actual[counted].astype(np.int64) * classes + predicted[counted]
        return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(float)

    def results(self, sums: Array) -> Results:
        return {"confusion_matrix": sums.astype(np.int64).tolist()}


class PerClass(ConfusionMatrix):
    """Precision, recall and F1 of each class; 0 where nothing was predicted or there is nothing to find."""

    def results(self, sums: Array) -> Results:
        hits, predicted, actual = np.diag(sums), sums.sum(axis=0), sums.sum(axis=1)
        scores = {"precision": (hits, predicted), "recall": (hits, actual), "f1": (2 * hits, predicted + actual)}
        return {name: (part / np.maximum(whole, 1)).tolist() for name, (part, whole) in scores.items()}


class MacroF1(ConfusionMatrix):
    """The mean of F1 over the classes that occur, as targets or as predictions (scikit-learn's macro average)."""

    def results(self, sums: Array) -> Results:
        both = sums.sum(axis=0) + sums.sum(axis=1)
        f1 = 2 * np.diag(sums)[both > 0] / both[both > 0]
        return {"macro_f1": float(f1.mean()) if f1.size else 0.0}


class BinaryAccuracy(Metric):
    """The part of the logits whose sign is right: above 0 for targets above ½."""

    training = True

    def sums(self, output: Array, target: Array) -> Array:
        _check_same(output, target)
        return np.array([np.count_nonzero((output > 0) == (target > 0.5)), target.size], float)

    def results(self, sums: Array) -> Results:
        return {"binary_accuracy": _ratio(sums[0], sums[1])}


class MeanAbsoluteError(Metric):
    """The mean of |output − target| over all numbers."""

    training = True

    def sums(self, output: Array, target: Array) -> Array:
        _check_same(output, target)
        return np.array([np.abs(output - target).sum(dtype=float), target.size])

    def results(self, sums: Array) -> Results:
        return {"mae": _ratio(sums[0], sums[1])}


class RootMeanSquaredError(Metric):
    """The root of the mean of (output − target)² over all numbers."""

    training = True

    def sums(self, output: Array, target: Array) -> Array:
        _check_same(output, target)
        return np.array([np.square(output - target, dtype=float).sum(), target.size])

    def results(self, sums: Array) -> Results:
        return {"rmse": _ratio(sums[0], sums[1]) ** 0.5}


class R2(Metric):
    """1 − Σ(output − target)² / Σ(target − mean)²: the part of the variance explained; several outputs are averaged."""

    def sums(self, output: Array, target: Array) -> Array:
        _check_same(output, target)
        x, y = (a.astype(float).reshape(len(a), -1) for a in (output, target))
        return np.stack([((x - y) ** 2).sum(0), y.sum(0), (y * y).sum(0), np.full(y.shape[1], len(y), float)])

    def results(self, sums: Array) -> Results:
        errors, total, squares, n = sums
        variation = np.maximum(squares - total**2 / n, 0)
        constant = variation <= 1e-14 * squares
        scores = np.where(constant, np.where(errors == 0, 1.0, 0.0), 1 - errors / np.where(constant, 1, variation))
        return {"r2": float(scores.mean())}


METRICS: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "top_k": TopK,
    "macro_f1": MacroF1,
    "per_class": PerClass,
    "confusion_matrix": ConfusionMatrix,
    "binary_accuracy": BinaryAccuracy,
    "mae": MeanAbsoluteError,
    "rmse": RootMeanSquaredError,
    "r2": R2,
}


def metrics_of(metrics: Iterable[Metric | str]) -> list[Metric]:
    """Metrics, some of them given by name."""
    for metric in (metrics := list(metrics)):
        if isinstance(metric, str) and metric not in METRICS:
            hint = did_you_mean(metric, METRICS) or f"; there are {', '.join(METRICS)}"
            raise UsageError(f'unknown metric "{metric}"{hint}')
    return [METRICS[metric]() if isinstance(metric, str) else metric for metric in metrics]


class Totals:
    """The running totals of a loss and some metrics over the batches of an epoch."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.reset()

    def reset(self) -> None:
        """Start from nothing."""
        self.loss, self.samples = 0.0, 0
        self.sums: list[Array | None] = [None] * len(self.metrics)

    def add(self, loss: float, output: Array, target: Array) -> None:
        """Add a batch, with the mean of its losses."""
        self.loss += loss * len(output)
        self.samples += len(output)
        for index, metric in enumerate(self.metrics):
            sums, before = metric.sums(output, target), self.sums[index]
            if before is not None and before.shape != sums.shape:
                raise CheckpointError(f"training state: totals: sums of the shape {before.shape}, not {sums.shape}")
            self.sums[index] = sums if before is None else before + sums

    def results(self) -> Results:
        """The mean loss of a sample, and what the metrics tell."""
        if not self.samples:
            return {}
        results: Results = {"loss": self.loss / self.samples}
        for metric, sums in zip(self.metrics, self.sums, strict=True):
            results |= metric.results(sums) if sums is not None else {}
        return results

    def state_dict(self) -> dict[str, object]:
        """The totals as plain numbers."""
        return {"loss": self.loss, "samples": self.samples, "sums": [_plain(x) for x in self.sums]}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from `state_dict()`. CheckpointError: it is of other metrics."""
        self.loss, self.samples = state["loss"], state["samples"]  # type: ignore[assignment]
        try:
            self.sums = [None if x is None else np.array(x, float) for x in state["sums"]]  # type: ignore[attr-defined]
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"training state: totals: {error}") from error
        if len(self.sums) != len(self.metrics):
            raise CheckpointError(f"training state: totals: {len(self.sums)} sums of {len(self.metrics)} metrics")


@no_grad()
def evaluate(
    model: Layer, loss: Loss, batches: Iterable[tuple[Array, Array]], metrics: Iterable[Metric | str] = ()
) -> Results:
    """The mean loss and the metrics of a model over batches `(x, y)`, with dropout and batch statistics off."""
    totals = Totals(metrics_of(metrics))
    with np.errstate(all="ignore"):
        for x, y in batches:
            output = model(wrap(x), training=False)
            totals.add(float(loss(output, y).item()), output.data, y)
    if not totals.samples:
        raise UsageError("evaluate: there are no examples")
    return totals.results()


def _plain(sums: Array | None) -> object:
    return None if sums is None else sums.tolist()


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def classes_of(output: Array, target: Array) -> tuple[Array, Array]:
    """The predicted class of each example, and its own; a class below 0 is not to be counted.

    Outputs (N, C, …) with integer classes (N, …) or targets of 0 and 1 in the same shape: the largest output decides.
    Outputs (N, 1) with targets of 0 and 1: logits of the second of two classes.
    """
    if target.dtype.kind in "iu" and output.shape[:1] + output.shape[2:] == target.shape:
        return output.argmax(axis=1), target
    if output.ndim < 2 or output.shape != target.shape or not ((target == 0) | (target == 1)).all():
        raise ShapeError(
            f"expected outputs (N, C, …) and integer classes (N, …), got {output.shape} and {target.shape} of "
            f"{target.dtype}; for numbers as targets use mae, rmse or r2"
        )
    if output.shape[1] > 1:
        return output.argmax(axis=1), target.argmax(axis=1)
    return (output[:, 0] > 0).astype(np.int64), target[:, 0].astype(np.int64)


def _check_same(output: Array, target: Array) -> None:
    if output.shape != target.shape:
        raise ShapeError(f"expected a target for each output, got outputs {output.shape} and targets {target.shape}")
