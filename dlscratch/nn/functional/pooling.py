"""Pooling without index arrays: one pass over the images for each cell of the window."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array
from dlscratch.nn.functional.convolution import Geometry, Pair


def pooling_geometry(kernel_size: Pair, stride: Pair | None, padding: Pair) -> Geometry:
    """PyTorch's rules: the stride is the kernel's size where left out, and padding at most half the kernel."""
    geometry = Geometry.of(kernel_size, kernel_size if stride is None else stride, padding)
    if any(2 * p > k for p, k in zip(geometry.before, geometry.kernel, strict=True)):
        raise ValueError(f"padding {geometry.before} is more than half of the kernel {geometry.kernel}")
    return geometry


@op(
    sample((2, 2, 4, 6), kernel_size=2),
    sample((1, 2, 5, 6), kernel_size=(3, 2), stride=(1, 2), padding=1),
)
def max_pool2d(x: Array, *, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """The largest element of each window of (N, C, H, W). Of equals the first gets the gradient, as in PyTorch."""
    geometry = pooling_geometry(kernel_size, stride, padding)
    sizes = geometry.output(*x.shape[2:])
    padded = geometry.padded(x, -np.inf)
    taps = [seen for _, seen in geometry.taps(padded, sizes)]
    apart = all(s >= k for s, k in zip(geometry.stride, geometry.kernel, strict=True))  # no windows overlap
    y = taps[0].copy()
    for seen in taps[1:]:
        np.maximum(y, seen, out=y)

    def dx(g: Array) -> Array:
        total = np.zeros_like(padded)
        free = np.ones_like(y, dtype=bool)  # windows whose largest element has not been met
        for seen, (_, target) in zip(taps, geometry.taps(total, sizes), strict=True):
            here = seen == y
            here &= free
            free ^= here
            if apart:
                np.multiply(g, here, out=target)
            else:
                target += g * here
        return geometry.inside(total, *x.shape[2:])

    return y, dx


@op(
    sample((2, 2, 4, 6), kernel_size=2),
    sample((1, 2, 5, 6), kernel_size=(3, 2), stride=(1, 2), padding=1),
    sample((1, 2, 5, 6), kernel_size=3, stride=2, padding=1, count_include_pad=False),
)
def avg_pool2d(
    x: Array, *, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, count_include_pad: bool = True
) -> Any:
    """The mean of each window of (N, C, H, W); margins count as zeros, or not at all (count_include_pad=False)."""
    geometry = pooling_geometry(kernel_size, stride, padding)
    sizes = geometry.output(*x.shape[2:])
    padded = geometry.padded(x)
    weight = 1 / _cells(x, geometry, sizes, count_include_pad)
    y = np.zeros_like(x, shape=(*x.shape[:2], *sizes))
    for _, seen in geometry.taps(padded, sizes):
        y += seen
    y *= weight

    def dx(g: Array) -> Array:
        g, total = g * weight, np.zeros_like(padded)
        for _, target in geometry.taps(total, sizes):
            target += g
        return geometry.inside(total, *x.shape[2:])

    return y, dx


def _cells(x: Array, geometry: Geometry, sizes: tuple[int, int], count_include_pad: bool) -> Array:
    """How many cells of x each window counts, in x's dtype."""
    if count_include_pad:
        return np.full_like(x, geometry.kernel[0] * geometry.kernel[1], shape=())
    ones = geometry.padded(np.ones_like(x[:1, :1]))
    total = np.zeros_like(x, shape=(1, 1, *sizes))
    for _, seen in geometry.taps(ones, sizes):
        total += seen
    return total


@op(sample((2, 3, 4, 5)))
def global_avg_pool2d(x: Array) -> Any:
    """The mean of each channel: (N, C, H, W) to (N, C)."""
    scale = 1 / (x.shape[2] * x.shape[3])
    return np.mean(x, (2, 3)), lambda g: np.broadcast_to((g * scale)[:, :, None, None], x.shape)
