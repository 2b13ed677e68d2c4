"""Batch and layer normalization: (x − mean) / √(var + eps) · weight + bias, with the gradients in closed form."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array
from dlscratch.crew import side_by_side

BLOCK = 2**18  # numbers of a block of examples: a megabyte of float32

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
    (variance: biased) as "mean" and "var". Ioffe and Szegedy, 2015.
    """
    if x.ndim < 2:
        raise ValueError("expected x of shape (N, C, ...)")
    own, n = mean is None or var is None, x.size // max(x.shape[1], 1)
    if own and n < 2:
        raise ValueError(f"needs more than one value a channel in training, got {n}; use a batch of at least 2")
    if mean is None or var is None:
        mean, var = _moments(x)
    mean, var = mean.astype(x.dtype, copy=False), var.astype(x.dtype, copy=False)
    if seen is not None:
        seen.update(mean=mean, var=var)
    scale = 1 / np.sqrt(var + eps)
    gain = scale if weight is None else scale * weight
    y = np.empty_like(x, dtype=np.result_type(x, gain))
    _each_block(functools.partial(_line, x, mean, gain, bias, y), x)
    sums = _Sums(x, mean)

    def dx(g: Array) -> Any:
        if not own:
            return g * _column(gain, x)
        total, products = sums.of(g)
        slope, shift, d = -products / n * scale * scale, -total / n, np.empty_like(g)

        def block(part: slice) -> None:
            _line(x, mean, slope, shift, d, part)
            d[part] += g[part]
            d[part] *= _column(gain, x)

        _each_block(block, x)
        return d

    return y, dx, lambda g: sums.of(g)[1] * scale, lambda g: sums.of(g)[0]


def _line(x: Array, mean: Array, slope: Array, shift: Array | None, out: Array, part: slice) -> None:
    """out ← (x − mean) · slope + shift for some of the examples, with a mean, slope and shift for each channel."""
    d = np.subtract(x[part], _column(mean, x), out=out[part])
    d *= _column(slope, x)
    if shift is not None:
        d += _column(shift, x)


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean and variance of each channel, from those of blocks (Chan, Golub and LeVeque 1979, eq. 2.1)."""

    def moments(part: slice) -> tuple[int, Array, Array]:
        n = x[part].size // x.shape[1]
        mean = per_channel(x[part]) / n
        d = x[part] - _column(mean, x)
        return n, mean, per_channel(d, d)

    parts = _each_block(moments, x)
    n = sum(count for count, _, _ in parts)
    mean = sum(count * each for count, each, _ in parts) / n
    return mean, sum(squares + count * (each - mean) ** 2 for count, each, squares in parts) / n


class _Sums:
    """Σ g and Σ g · (x − mean) of each channel, which all three rules need, computed once for each g."""

    def __init__(self, x: Array, mean: Array) -> None:
        self.x, self.mean = x, mean
        self.last: tuple[Callable[[], Array | None], tuple[Array, Array]] | None = None

    def of(self, g: Array) -> tuple[Array, Array]:
        if self.last is None or self.last[0]() is not g:
            total, products = zip(*_each_block(functools.partial(self._block, g), self.x), strict=True)
            self.last = weakref.ref(g), (sum(total), sum(products))
        return self.last[1]

    def _block(self, g: Array, part: slice) -> tuple[Array, Array]:
        return per_channel(g[part]), per_channel(g[part], self.x[part] - _column(self.mean, self.x))


def _each_block(function: Callable[[slice], Any], x: Array) -> list[Any]:
    """What the function gives for each block of examples of x, so small that they stay in the cache, in their order."""
    step = max(1, BLOCK // max(1, x[:1].size))
    parts = [slice(start, start + step) for start in range(0, max(len(x), 1), step)]
    results: list[Any] = [None] * len(parts)

    def job(index: int) -> None:
        results[index] = function(parts[index])

    side_by_side([functools.partial(job, index) for index in range(len(parts))])
    return results


def _column(values: Array, x: Array) -> Array:
    """(C,) in a shape to compute with (N, C, ...)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def per_channel(x: Array, y: Array | None = None) -> Any:
    """Σ x or Σ x · y over all axes but the second."""
    x = x.reshape(*x.shape[:2], -1)
    if y is None:
        return np.sum(np.sum(x, 2), 0)
    return np.einsum("ncm,ncm->c", x, y.reshape(x.shape))


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
