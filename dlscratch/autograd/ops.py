"""The ops: arithmetic, matmul, reductions, shapes and indexing. Each returns its value and a rule for each array.

Broadcasting needs no care in a rule: the engine sums its result over the axes that were stretched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dlscratch.autograd.engine import Tensor, op
from dlscratch.autograd.gradcheck import sample
from dlscratch.backend import Array

Axes = int | tuple[int, ...] | None
ROWS = sample((3, 4))
REDUCED = ROWS, sample((2, 3, 4), axis=1), sample((2, 3, 4), axis=(0, -1), keepdims=True), sample(())

@op(sample((3, 4), (4,)), sample((2, 1), (2, 3)), sample((), ()))
def add(x: Array, y: Array) -> Any:
    """x + y, elementwise with broadcasting."""
    return x + y, lambda g: g, lambda g: g

@op(sample((3, 4), (4,)))
def sub(x: Array, y: Array) -> Any:
    """x − y, elementwise with broadcasting."""
    return x - y, lambda g: g, lambda g: -g

@op(sample((3, 4), (4,)), sample((3, 1), (3, 4)))
def mul(x: Array, y: Array) -> Any:
    """x · y, elementwise with broadcasting."""
    return x * y, lambda g: g * y, lambda g: g * x

@op(sample((3, 4), (4,), low=0.5))
def div(x: Array, y: Array) -> Any:
    """x / y, elementwise with broadcasting."""
    return x / y, lambda g: g / y, lambda g: -g * x / (y * y)

@op(sample((3, 4), (4,), low=0.2))
def pow(x: Array, y: Array) -> Any:
    """x to the power of y. At x = 0 the gradient is 0 for x where y = 0, and for y where y ≥ 0, as in PyTorch."""
    def dx(g: Array) -> Array:
        return g * np.where(y == 0, 0, y * x ** np.where(y == 0, 1, y - 1))
    def dy(g: Array) -> Array:
        zero = (x == 0) & (y >= 0)
        return g * np.where(zero, 0, x**y * np.log(np.where(zero, 1, x)))
    return x**y, dx, dy

@op(ROWS)
def neg(x: Array) -> Any:
    """−x."""
    return -x, lambda g: -g

@op(ROWS)
def abs(x: Array) -> Any:
    """|x|; its gradient at 0 is 0."""
    return np.abs(x), lambda g: g * np.sign(x)

@op(ROWS)
def exp(x: Array) -> Any:
    """e to the power of x."""
    return (y := np.exp(x)), lambda g: g * y

@op(sample((3, 4), low=0.1))
def log(x: Array) -> Any:
    """The natural logarithm."""
    return np.log(x), lambda g: g / x

@op(sample((3, 4), low=-0.5))
def log1p(x: Array) -> Any:
    """log(1 + x), exact for small x."""
    return np.log1p(x), lambda g: g / (1 + x)

@op(sample((3, 4), low=0.1))
def sqrt(x: Array) -> Any:
    """The square root."""
    return (y := np.sqrt(x)), lambda g: g / (2 * y)

@op(ROWS)
def sin(x: Array) -> Any:
    """The sine of x in radians."""
    return np.sin(x), lambda g: g * np.cos(x)

@op(ROWS)
def cos(x: Array) -> Any:
    """The cosine of x in radians."""
    return np.cos(x), lambda g: -g * np.sin(x)

@op(ROWS)
def tanh(x: Array) -> Any:
    """The hyperbolic tangent."""
    return (y := np.tanh(x)), lambda g: g * (1 - y * y)

@op(sample((3, 4), (4,)))
def maximum(x: Array, y: Array) -> Any:
    """The larger of x and y, elementwise; equals share the gradient."""
    share = np.where(x == y, 0.5, x > y)
    return np.maximum(x, y), lambda g: g * share.astype(g.dtype), lambda g: g * (1 - share).astype(g.dtype)

@op(sample((3, 4), min=-1, max=1))
def clip(x: Array, *, min: float | None = None, max: float | None = None) -> Any:
    """x held between two limits (None: no limit); the gradient passes where x is within them."""
    return (y := np.clip(x, min, max)), lambda g: g * (x == y)

@op(sample(np.array([[True], [False], [True]]), (3, 1), (4,)))
def where(condition: Array, x: Array, y: Array) -> Any:
    """x where the condition (booleans) holds, y elsewhere."""
    return np.where(condition, x, y), None, lambda g: np.where(condition, g, 0), lambda g: np.where(condition, 0, g)

@op(sample((4,), (4,)), sample((4,), (2, 4, 3)), sample((2, 3, 4), (4,)), sample((2, 1, 3, 4), (5, 4, 2)))
def matmul(x: Array, y: Array) -> Any:
    """The matrix product x @ y, batched over leading axes and broadcast, with vectors as NumPy treats them."""
    row, column = x.ndim == 1, y.ndim == 1
    X, Y = x[None, :] if row else x, y[:, None] if column else y
    missing = (-2,) * row + (-1,) * column  # the axes that NumPy drops from the product where a vector came in

    def dy(g: Array) -> Any:
        G = X.swapaxes(-1, -2) @ np.expand_dims(g, missing)
        return G[..., 0] if column else G
    return x @ y, lambda g: np.expand_dims(g, missing) @ Y.swapaxes(-1, -2), dy

@op(sample((2, 3, 4)), sample((2, 3, 4), axes=(1, -1, 0)))
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Any:
    """The axes of x in a new order (None: reversed)."""
    back = None if axes is None else np.argsort([axis % x.ndim for axis in axes])
    return np.transpose(x, axes), lambda g: np.transpose(g, back)

@op(sample((2, 6), shape=(3, -1)))
def reshape(x: Array, *, shape: int | tuple[int, ...]) -> Any:
    """The elements of x in another shape; one size may be −1."""
    return np.reshape(x, shape), lambda g: np.reshape(g, x.shape)

@op(sample((3, 1), shape=(2, 3, 4)))
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Any:
    """x repeated along new or stretched axes, as a view."""
    return np.broadcast_to(x, shape), lambda g: g

@op(sample((2, 3), (1, 3)), sample((2, 3), (2, 1), axis=-1))
def concatenate(*arrays: Array, axis: int = 0) -> Any:
    """Arrays (given one by one or as a list) joined along an axis."""
    ends = np.cumsum([0, *[np.shape(x)[axis] for x in arrays]])
    rules = [lambda g, i=i: g.take(range(ends[i], ends[i + 1]), axis) for i in range(len(arrays))]
    return np.concatenate(arrays, axis), *rules

@op(sample((2, 3), width=((1, 0), (0, 2))))
def pad(x: Array, *, width: int | tuple[tuple[int, int], ...], value: float = 0.0) -> Any:
    """x with `width` (before, after) cells of a value around each axis, as in numpy.pad."""
    inside = tuple(slice(a, a + n) for (a, _), n in zip(np.broadcast_to(width, (x.ndim, 2)), x.shape, strict=True))
    return np.pad(x, width, constant_values=value), lambda g: g[inside]

@op(sample((3, 4), index=(slice(None, None, -2), 1)), sample((3, 4), index=[0, 0, 2]), sample((1,), index=[True]))
def getitem(x: Array, *, index: Any) -> Any:
    """x[index], with slices, integers, None, …, integer or boolean arrays; gradients of repeated elements add up."""
    index = _own_index(index)

    def dx(g: Array) -> Array:
        total = np.zeros_like(x, dtype=g.dtype)
        np.add.at(total, index, g)
        return total
    return x[index], dx

def _own_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_own_index(part) for part in index)
    return np.array(index) if isinstance(index, list | np.ndarray | Tensor) else index

@op(*REDUCED)
def sum(x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """The sum over one axis, several, or all."""
    return np.sum(x, axis, keepdims=keepdims), lambda g: np.broadcast_to(_kept(g, axis, keepdims), x.shape)

@op(*REDUCED)
def max(x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest element over one axis, several, or all; equals share the gradient."""
    y = np.max(x, axis, keepdims=True)
    share = (x == y) / np.sum(x == y, axis, keepdims=True)
    return y if keepdims else y.squeeze(axis), lambda g: _kept(g, axis, keepdims) * share

def _kept(g: Array, axis: Axes, keepdims: bool) -> Any:
    """The gradient with the axes that a reduction dropped, at size 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)

@op(sample((2, 3, 4), axis=1))
def cumsum(x: Array, *, axis: int) -> Any:
    """The running sum along an axis."""
    return np.cumsum(x, axis), lambda g: np.flip(np.cumsum(np.flip(g, axis), axis), axis)

@op(ROWS, sample((3, 4), axis=1))
def argmax(x: Array, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest element (int64; it has no gradient)."""
    return (np.argmax(x, axis, keepdims=keepdims),)

def _reflected(function: Any) -> Any:
    return lambda self, other: function(other, self)

for name, function in {"add": add, "sub": sub, "mul": mul, "truediv": div, "pow": pow, "matmul": matmul}.items():
    setattr(Tensor, f"__{name}__", function)
    setattr(Tensor, f"__r{name}__", _reflected(function))
for name, function in {"neg": neg, "abs": abs, "getitem": getitem}.items():
    setattr(Tensor, f"__{name}__", function)
