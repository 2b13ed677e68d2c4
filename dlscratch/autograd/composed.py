"""Functions made of ops: they need no rules of their own. And the methods of Tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np

from dlscratch.autograd import ops
from dlscratch.autograd.engine import Tensor, wrap
from dlscratch.autograd.ops import Axes
from dlscratch.autograd.printing import graph_text, tensor_text
from dlscratch.errors import ShapeError


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of x and y, elementwise; equals share the gradient."""
    return -ops.maximum(ops.neg(x), ops.neg(y))


def min(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest element over one axis, several, or all; equals share the gradient."""
    return -ops.max(-x, axis, keepdims)


def mean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean over one axis, several, or all."""
    total = ops.sum(x, axis, keepdims)
    return ops.div(total, x.size / (total.size or 1))


def var(x: Tensor, axis: Axes = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """The variance over one axis, several, or all: Σ (x − mean)² / (n − correction). correction=1 is PyTorch's."""
    squares = ops.sum((x - mean(x, axis, keepdims=True)) ** 2, axis, keepdims)
    return ops.div(squares, x.size / (squares.size or 1) - correction)


def logsumexp(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) over one axis, several, or all, without overflow: the largest element is taken out of the sum."""
    top = np.max(x.data, axis=axis, keepdims=True)
    top = wrap(np.where(np.isfinite(top), top, 0))
    result = ops.log(ops.sum(ops.exp(x - top), axis, keepdims=True)) + top
    return result if keepdims else squeeze(result, axis)


def permute(x: Tensor, *axes: Any) -> Tensor:
    """The axes of x in a new order: permute(x, 2, 0, 1), or with one tuple; without axes, reversed."""
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return ops.transpose(x, axes=tuple(order) if order else None)


def squeeze(x: Tensor, axis: Axes = None) -> Tensor:
    """x without an axis, or axes, of size 1 (None: without all of them)."""
    sizes = np.squeeze(x.data, axis).shape
    return ops.reshape(x, sizes)


def unsqueeze(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    """x with a new axis, or axes, of size 1, counted as in the result."""
    return ops.reshape(x, np.expand_dims(x.data, axis).shape)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    return ops.concatenate([unsqueeze(x, axis) for x in tensors], axis=axis)


def split(x: Tensor, sizes: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x in pieces of `sizes` along an axis; one number means pieces of that size, the last of what is left."""
    whole = x.shape[axis]
    lengths = list(sizes) if isinstance(sizes, Sequence) else [sizes] * -(-whole // sizes)
    ends = np.cumsum(lengths)
    if isinstance(sizes, Sequence) and ends[-1] != whole:
        raise ShapeError(f"split: sizes {list(sizes)} add up to {ends[-1]}, but axis {axis} has {whole}")
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(end - length, end))] for end, length in zip(ends, lengths, strict=True)]


def _reshape(x: Tensor, *shape: Any) -> Tensor:
    """x.reshape(2, -1) or x.reshape((2, -1))."""
    return ops.reshape(x, shape[0] if len(shape) == 1 else shape)


def _length(x: Tensor) -> int:
    if x.ndim == 0:
        raise TypeError("len() of a tensor without axes")
    return int(x.shape[0])


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Tensor, Any], Tensor]:
    return lambda x, y: Tensor(compare(x.data, y.data if isinstance(y, Tensor) else y))


METHODS = {
    "__len__": _length,
    "__iter__": lambda x: (x[i] for i in range(_length(x))),
    "__bool__": lambda x: bool(x.item()),
    "__float__": lambda x: float(x.item()),
    "__repr__": tensor_text,
    "graph": graph_text,
    "reshape": _reshape,
    "transpose": permute,
    "T": property(permute, doc="The tensor with its axes reversed."),
    **{f.__name__: f for f in (mean, var, min, logsumexp, permute, squeeze, unsqueeze, split)},
    **{f.__name__: f for f in (ops.abs, ops.exp, ops.log, ops.sqrt, ops.tanh, ops.clip, ops.sum, ops.max)},
    **{f"__{f.__name__}__": _comparison(f) for f in (lt, le, gt, ge, eq, ne)},
    **{f.__name__: f for f in (ops.cumsum, ops.argmax, ops.broadcast_to)},
}
for name, method in METHODS.items():
    setattr(Tensor, name, method)
