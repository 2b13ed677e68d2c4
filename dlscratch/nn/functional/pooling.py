"""Pooling without index arrays: one pass over the images for each cell of the window."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array
from dlscratch.nn.functional.windows import Geometry, Pair


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
    height, width = geometry.output(*x.shape[2:])
    lines = _Along(3, geometry.padded(x, -np.inf), geometry, width)  # the largest of each row, and then of these
    whole = _Along(2, lines.largest, geometry, height)
    return whole.largest, lambda g: geometry.inside(lines.gradient(whole.gradient(g)), *x.shape[2:])


class _Along:
    """The largest elements along one axis: of `count` windows that are one cell wide (axis 2) or high (axis 3)."""

    def __init__(self, axis: int, x: Array, geometry: Geometry, count: int) -> None:
        self.x, self.axis, self.count = x, axis, count
        self.kernel, self.stride = geometry.kernel[axis - 2], geometry.stride[axis - 2]
        first, *others = self.cells(x)
        self.largest = np.maximum(first, others[0]) if others else first.copy()
        for seen in others[1:]:
            np.maximum(self.largest, seen, out=self.largest)

    def cells(self, x: Array) -> list[Array]:
        """For each cell of the window, what all windows see there."""
        ends = ((i, i + self.stride * (self.count - 1) + 1) for i in range(self.kernel))
        before = (slice(None),) * self.axis
        return [x[(*before, slice(start, end, self.stride))] for start, end in ends]

    def gradient(self, g: Array) -> Array:
        """That of x: g (of the largest) where the first of the largest lies, and 0 elsewhere."""
        if self.kernel == self.stride == 2:  # as most are
            return self._gradient_of_pairs(g)
        total = np.zeros_like(self.x)
        cells, targets = self.cells(self.x), self.cells(total)
        free = np.ones_like(self.largest, dtype=bool)  # windows whose largest element has not been met
        for seen, target in zip(cells, targets, strict=True):
            here = seen == self.largest
            here &= free
            free ^= here
            target += g * here
        return total

    def _gradient_of_pairs(self, g: Array) -> Array:
        total = np.empty_like(self.x)
        total[(*(slice(None),) * self.axis, slice(2 * self.count, None))] = 0  # a last cell without a partner
        first, second = self.cells(total)
        np.multiply(g, self.cells(self.x)[0] == self.largest, out=first)
        np.subtract(g, first, out=second)
        return total


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
