"""Losses. Output and target must agree in shape: (N, 1) against (N,) is an error, never a broadcast."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.autograd.engine import Rule
from dlscratch.backend import Array
from dlscratch.nn.functional.dense import are_indices, check_indices
from dlscratch.nn.functional.special import logistic

Reduction = Literal["mean", "sum", "none"]
CLASSES = np.array([2, 0, 1, 2, 3])
WEIGHT: Any = np.array([0.5, 1.0, 2.0, 1.5])


@op(
    sample((5, 4), CLASSES),
    sample((5, 4), CLASSES, weight=WEIGHT, label_smoothing=0.1, ignore_index=0),
    sample((5, 4), CLASSES, weight=WEIGHT, label_smoothing=0.3, reduction="sum"),
    sample((2, 4, 3), np.array([[0, 1, 3], [2, 2, 1]]), reduction="none"),
)
def cross_entropy(
    x: Array,
    target: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Any:
    """−log softmax(x)[target] for logits x (N, C, ...) and classes (N, ...), as PyTorch's cross_entropy.

    Classes may have a weight (C,); the mean is then over the weights, too. `label_smoothing` mixes the target with the
    uniform distribution; rows whose target is `ignore_index` count for nothing (if all are, the mean is 0).
    """
    rows, t, w, kept, total = _class_rows(x, target, weight, ignore_index)
    rows = rows - np.maximum.reduce(rows, 1, keepdims=True)
    e, each = np.exp(rows), np.arange(len(t))
    sums = np.add.reduce(e, 1)
    log_sums = np.log(sums)
    certain = everything = (1 - label_smoothing) * w  # the weight of the target class, and of all classes together
    losses = certain * (log_sums - rows[each, t])
    if label_smoothing:
        spread = label_smoothing / rows.shape[1] * (1 if weight is None else weight.astype(rows.dtype))
        whole = label_smoothing if weight is None else np.add.reduce(spread)
        losses += kept * (whole * log_sums - np.add.reduce(spread * rows, 1))
        everything = certain + kept * whole
    value, share = _reduce(losses, reduction, total, target.shape)

    def dx(g: Array) -> Array:
        """The probabilities less the targets, by the share of each row in the result."""
        g = share(g)
        d = e * (g * everything / sums)[:, None]
        d[each, t] -= g * certain
        if label_smoothing:
            d -= (g * kept)[..., None] * spread
        return _class_axis_back(d, x.shape)

    return value, dx


@op(sample((5, 4), CLASSES), sample((5, 4), CLASSES, weight=WEIGHT, ignore_index=0, reduction="sum"))
def nll(
    x: Array, target: Array, *, weight: Array | None = None, ignore_index: int = -100, reduction: Reduction = "mean"
) -> Any:
    """−x[target] for log-probabilities x (N, C, ...) and classes (N, ...); options as in cross_entropy."""
    rows, t, w, _, total = _class_rows(x, target, weight, ignore_index)
    each = np.arange(len(t))
    value, share = _reduce(-w * rows[each, t], reduction, total, target.shape)

    def dx(g: Array) -> Array:
        d = np.zeros_like(rows)
        d[each, t] = -w * share(g)
        return _class_axis_back(d, x.shape)

    return value, dx


def _class_rows(
    x: Array, target: Array, weight: Array | None, ignore_index: int
) -> tuple[Array, Array, Any, Any, Any]:
    """x as rows (M, C), and of each row its class, its weight and whether it counts (1 or 0); the sum of the weights.

    Where all rows count alike, one 1 stands for all of them. Rows of few classes are stored column by column: NumPy
    reduces them five times as fast.
    """
    if x.ndim < 2 or target.shape != x.shape[:1] + x.shape[2:]:
        expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else "(N,) and x of shape (N, C)"
        raise ValueError(f"expected one class a row, a target of shape {expected}, got {target.shape}")
    if weight is not None and np.shape(weight) != x.shape[1:2]:
        raise ValueError(f"expected a weight for each of the {x.shape[1]} classes, got shape {np.shape(weight)}")
    rows = x if x.ndim == 2 else np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    rows = rows.copy(order="F") if rows.shape[1] < 64 else rows
    t = target.reshape(-1)
    if weight is None and ignore_index < 0 and are_indices(t, x.shape[1]):
        return rows, t, 1, 1, len(t)
    ignored = t == ignore_index
    t = check_indices(np.where(ignored, 0, t), x.shape[1], "class")
    w = np.where(ignored, 0, np.ones_like(rows[:, 0]) if weight is None else weight.astype(x.dtype)[t])
    return rows, t, w, (~ignored).astype(rows.dtype), np.sum(w)


def _class_axis_back(d: Array, shape: tuple[int, ...]) -> Array:
    """Rows (M, C) to (N, C, ...)."""
    return d if len(shape) == 2 else np.moveaxis(d.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _reduce(losses: Array, reduction: Reduction, total: Any, shape: tuple[int, ...]) -> tuple[Any, Rule]:
    """The reduced losses, and the rule that turns the gradient of that into one for each, or for all."""
    if reduction == "mean":
        total = total or 1  # nothing counted: 0 / 1
        return np.add.reduce(losses, None) / total, lambda g: g / total
    if reduction == "sum":
        return np.add.reduce(losses, None), lambda g: g
    if reduction == "none":
        return losses.reshape(shape), lambda g: g.reshape(losses.shape)
    raise ValueError(f'reduction is {reduction!r}; expected "mean", "sum" or "none"')


def _like(x: Array, target: Any) -> Any:
    """The target in x's dtype; ValueError unless the shapes agree."""
    if np.shape(target) != x.shape:
        raise ValueError(f"output {x.shape} and target {np.shape(target)} must have one shape; {_advice(x, target)}")
    return np.asarray(target).astype(x.dtype, copy=False)


def _advice(x: Array, target: Any) -> str:
    if x.size == np.size(target):
        return f"reshape the target to {x.shape}, or the output to {np.shape(target)}"
    return "give one target for each output"


def _elementwise(losses: Array, slope: Any, reduction: Reduction) -> Any:
    """The reduced losses with a rule for output and target, where `slope()` is d loss / d output of each element."""
    value, share = _reduce(losses, reduction, losses.size, losses.shape)
    return value, lambda g: share(g) * slope(), lambda g: -share(g) * slope()


@op(sample((3, 4), (3, 4)), sample((3,), (3,), reduction="sum"), sample((3, 1), (3, 1), reduction="none"))
def mse(x: Array, target: Array, *, reduction: Reduction = "mean") -> Any:
    """(x − target)²."""
    d = x - _like(x, target)
    return _elementwise(d * d, lambda: 2 * d, reduction)


@op(sample((3, 4), (3, 4)))
def l1(x: Array, target: Array, *, reduction: Reduction = "mean") -> Any:
    """|x − target|; the gradient at 0 is 0."""
    d = x - _like(x, target)
    return _elementwise(np.abs(d), lambda: np.sign(d), reduction)


@op(sample((3, 4), (3, 4)), sample((3, 4), (3, 4), delta=0.5))
def huber(x: Array, target: Array, *, delta: float = 1.0, reduction: Reduction = "mean") -> Any:
    """½ d² for d = x − target up to delta, delta · (|d| − ½ delta) beyond."""
    d = x - _like(x, target)
    c = np.clip(d, -delta, delta)
    return _elementwise(c * (d - 0.5 * c), lambda: c, reduction)


@op(
    sample((3, 4), np.array([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]])),
    sample((2, 2), np.array([[0.2, 1], [0, 0.7]]), low=-30, high=30, pos_weight=np.array([2.0, 0.5])),
)
def binary_cross_entropy_with_logits(
    x: Array, target: Array, *, pos_weight: Array | float | None = None, reduction: Reduction = "mean"
) -> Any:
    """−t log σ(x) · pos_weight − (1 − t) log σ(−x) for targets t from 0 to 1, exact for any logit x."""
    t = _like(x, target)
    positive = t if pos_weight is None else t * np.asarray(pos_weight, dtype=x.dtype)
    tail = np.log1p(np.exp(-np.abs(x)))
    losses = positive * (tail + np.maximum(-x, 0)) + (1 - t) * (tail + np.maximum(x, 0))
    value, share = _reduce(losses, reduction, losses.size, losses.shape)

    def dx(g: Array) -> Any:
        s = logistic(x)
        return share(g) * ((1 - t) * s - positive * (1 - s))

    return value, dx
