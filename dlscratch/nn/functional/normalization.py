"""Batch and layer normalization: (x − mean) / √(var + eps) · weight + bias, with the gradients in closed form."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array
from dlscratch.crew import each_part, even_parts
from dlscratch.nn.functional.windows import channels_first, channels_last
from dlscratch.team import both, in_halves, members

BLOCK = 2**17  # numbers of a block of rows: half a megabyte of float32
NEAR = 3.0  # standard deviations; means so near to 0 can be taken out of a sum of products afterwards
SHARED = 2**19  # numbers from which on threads share the blocks

Moments = tuple[Any, Any, Any]  # of a part, for each channel: count, mean, sum of squared differences from it

GIVEN: Any = {"mean": np.array([0.1, -0.2, 0.3]), "var": np.array([0.5, 1.0, 2.0])}


@op(
    sample((5, 3), (3,), (3,)),
    sample((2, 3, 2, 4), (3,), (3,), eps=0.1),
    sample((4, 3, 2)),
    sample((4, 3, 2), (3,), (3,), **GIVEN),
)
def batch_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    mean: Array | None = None,
    var: Array | None = None,
    eps: float = 1e-5,
    seen: dict[str, Array] | None = None,
) -> Any:
    """Normalize each channel of x (N, C, ...) with a given mean and variance (C,), or with the batch's own.

    In the second case the gradient flows through mean and variance, too, and the dict `seen` receives them
    (variance: biased) as "mean" and "var", and how many values a channel has as "count". Ioffe and Szegedy, 2015.
    """
    if x.ndim < 2:
        raise ValueError("expected x of shape (N, C, ...)")
    own, n = mean is None or var is None, members() * x.size // max(x.shape[1], 1)
    if own and n < 2:
        raise ValueError(f"needs more than one value a channel in training, got {n}; use a batch of at least 2")
    rows = _rows(x)
    if mean is None or var is None:
        mean, var = _moments(rows, x.shape[1])
    mean, var = mean.astype(x.dtype, copy=False), var.astype(x.dtype, copy=False)
    if seen is not None:
        seen.update(mean=mean, var=var, count=np.array(n))
    scale = 1 / np.sqrt(var + eps)
    gain = scale if weight is None else scale * weight
    shift = -mean * gain if bias is None else bias - mean * gain
    wide = _wide(gain, rows)
    y = _computed(rows, (np.multiply, wide), (np.add, _wide(shift, rows)))
    sums = _Sums(rows, mean, var)
    here = sums.of_halves

    def dx(g: Array) -> Any:
        """(g − mean of g − z · mean of g · z) · gain for the normalized z; g · gain with given statistics."""
        if not own:
            return _images(_computed(_rows(g), (np.multiply, wide)), x)
        total, products = sums.of_batch(g)
        slope = -products / n * scale * scale
        line = (np.multiply, _wide(slope, rows)), (np.add, _wide(-total / n - slope * mean, rows))
        return _images(_computed(rows, *line, (np.add, _rows(g)), (np.multiply, wide)), x)

    return _images(y, x), dx, lambda g: sum(p * scale for _, p in here(g)), lambda g: sum(total for total, _ in here(g))


def _rows(x: Array) -> Array:
    """x (N, C, ...) as a matrix. Its rows are the examples; of images, lines of pixels with all their channels."""
    last = channels_last(x)
    return last.reshape(math.prod(last.shape[:-2]), last.shape[-2] * last.shape[-1]) if x.ndim > 2 else last


def _images(rows: Array, x: Array) -> Array:
    """What `_rows` undoes, for an x of that shape."""
    return channels_first(rows.reshape(x.shape[0], *x.shape[2:], x.shape[1]))


def _wide(values: Array, rows: Array) -> Array:
    """(C,) repeated for each place in a row."""
    wide = np.empty_like(values, shape=(rows.shape[1] // max(1, values.size), values.size))
    wide[...] = values
    return wide.reshape(-1)


def _sum(rows: Array, channels: int, times: Array | None = None) -> Any:
    """The sum (C,) of each channel, or of the products with other rows."""
    total = np.add.reduce(rows, 0) if times is None else np.einsum("rc,rc->c", rows, times)
    return np.add.reduce(total.reshape(-1, channels), 0)


def _computed(rows: Array, *steps: tuple[np.ufunc, Array]) -> Array:
    """The rows after each step in turn: a function of them and of either as many other rows, or one for all."""
    y = np.empty_like(rows, dtype=np.result_type(rows, *(other for _, other in steps)))

    def block(part: slice) -> None:
        value = rows[part]
        for function, other in steps:
            value = function(value, other if other.ndim == 1 else other[part], out=y[part])

    _each_block(block, rows)
    return y


def _moments(rows: Array, channels: int) -> tuple[Array, Array]:
    """Mean and variance of each channel, from those of blocks and halves."""

    def moments(part: slice) -> Moments:
        """Those of a block: from sums of x and x², where these tell enough, else from differences."""
        n, total = rows[part].size // channels, _sum(rows[part], channels)
        mean, squares = total / n, _sum(rows[part], channels, rows[part])
        if _near(mean, squares / n - mean * mean):
            return n, mean, squares - n * mean * mean
        d = rows[part] - _wide(mean, rows)
        return n, mean, _sum(d, channels, d)

    here = [_together(half) for half in in_halves(_each_block(moments, rows))]
    n, mean, squares = _together([(n, *each) for n, *found in here for each in both(np.stack(found))])
    return mean, squares / n


def _together(parts: Sequence[Moments]) -> Moments:
    """The moments of several parts (Chan, Golub and LeVeque 1979, eq. 2.1)."""
    n = sum(count for count, _, _ in parts)
    mean = sum(count * each for count, each, _ in parts) / n
    return n, mean, sum(squares + count * (each - mean) ** 2 for count, each, squares in parts)


class _Sums:
    """Σ g and Σ g · (x − mean) of each channel, which all three rules need, computed once for each g."""

    def __init__(self, rows: Array, mean: Array, var: Array) -> None:
        self.rows, self.mean, self.near = rows, mean, _near(mean, var)
        self.last: tuple[Callable[[], Array | None], list[Array]] | None = None

    def of_halves(self, g: Array) -> list[Array]:
        """For the gradient g (N, C, ...) of the result: of each half of the batch that is here, (2, C)."""
        if self.last is None or self.last[0]() is not g:
            found = _each_block(functools.partial(self._block, _rows(g)), self.rows)
            self.last = weakref.ref(g), [sum(half[1:], half[0]) for half in in_halves(found)]
        return self.last[1]

    def of_batch(self, g: Array) -> Array:
        """For the whole batch."""
        first, *others = (each for half in self.of_halves(g) for each in both(half))
        return sum(others, first)

    def _block(self, g: Array, part: slice) -> Array:
        channels, x, g = self.mean.size, self.rows[part], g[part]
        total = _sum(g, channels)
        if self.near:
            return np.stack([total, _sum(g, channels, x) - self.mean * total])
        return np.stack([total, _sum(g, channels, x - _wide(self.mean, x))])


def _near(mean: Array, var: Array) -> bool:
    """Whether a difference of sums leaves enough digits: those of x · y for a sum of (x − mean) · y."""
    return bool(np.all(mean * mean <= NEAR * NEAR * var))


def _each_block(function: Callable[[slice], Any], rows: Array) -> list[Any]:
    """What the function gives for each block of rows, in their order."""
    return each_part(function, even_parts(len(rows), rows.shape[1], BLOCK), rows.size > SHARED)


@op(sample((5, 3), (3,), (3,)), sample((2, 3, 4), (3, 4), axes=2, eps=0.1), sample((2, 3, 4)))
def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, axes: int = 1, eps: float = 1e-5
) -> Any:
    """Normalize x over its last `axes` axes, whose sizes weight and bias have. Ba, Kiros and Hinton, 2016."""
    last = tuple(range(-axes, 0))
    if any(p is not None and p.shape != x.shape[-axes:] for p in (weight, bias)):
        raise ValueError(f"expected weight and bias of shape {x.shape[-axes:]}, the last axes of x")
    z = x - np.mean(x, last, keepdims=True)
    scale = 1 / np.sqrt(np.mean(z * z, last, keepdims=True) + eps)
    z *= scale
    y = z * weight if weight is not None else z if bias is None else z.copy()
    if bias is not None:
        y += bias

    def dx(g: Array) -> Any:
        g = g if weight is None else g * weight
        return scale * (g - np.mean(g, last, keepdims=True) - z * np.mean(g * z, last, keepdims=True))

    return y, dx, lambda g: g * z, lambda g: g
