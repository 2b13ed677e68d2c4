"""Convolution: matrix products of what the windows see and the kernels, for some images together.

Inside, images are (n, H, W, C) and kernels (groups, kh, kw, C/groups, O/groups). What a dense window sees in one row of
its image are kw · C neighbours in memory, and so are what the windows kw places further on see: every kw-th one gives a
row of a matrix, without copying a number. There is such a matrix for each row of the kernel and each of the first kw
places. Other windows are copied into a matrix (im2col). BLAS has one thread, for the products are many and thin; the
images are cut in parts that are computed side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array, scratch, strided
from dlscratch.blas import one_thread
from dlscratch.crew import each_part, even_parts
from dlscratch.nn.functional.windows import Geometry, Padding, Pair, channels_first, channels_last

SMALL = 900_000  # multiplications up to which OpenBLAS takes matrices as they are; it copies larger ones first
FEW = 64  # rows of a matrix from which on such products are the faster ones
TOGETHER = 2**21  # numbers that are read and written for one part of the images
SHARED = 2**19  # the same above which threads share the images
SHORT = 8  # channels times kernel width from which on a row of a kernel is long enough for a product of its own
COPYING = 10  # copying what a window sees costs as much as the products with so many kernels


@op(
    sample((2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    sample((2, 4, 4, 5), (3, 4, 2, 3), (3,), padding=1),
    sample((1, 4, 7, 5), (6, 2, 2, 3), stride=(2, 1), padding=(1, 2), dilation=(2, 1), groups=2),
    sample((2, 2, 4, 4), (3, 2, 2, 2), (3,), padding="same"),
)
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation of images x (N, C, H, W) with weight (O, C/groups, kh, kw), plus bias (O,)."""
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(f"expected x (N, C, H, W) and weight (O, C/groups, kh, kw) with groups={groups}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"expected bias of shape {weight.shape[:1]}")
    geometry = Geometry.of(weight.shape[2:], stride, padding, dilation)
    kernels = weight.reshape(groups, -1, *weight.shape[1:]).transpose(0, 3, 4, 2, 1)
    images = channels_last(x)
    y = _correlate(images, kernels, geometry, bias)
    opposite = geometry.reversed()

    def dx(g: Array) -> Array:
        if opposite is None:
            return _scatter(channels_last(g), kernels, geometry, x)
        return channels_first(_correlate(channels_last(g), kernels[:, ::-1, ::-1].swapaxes(3, 4), opposite))

    def dweight(g: Array) -> Array:
        g = channels_last(g)
        found = _each_part(lambda part, windows: windows.against(g[part]), images, kernels, geometry)
        total = sum(each.reshape(kernels.shape) for each in found) if found else np.zeros_like(kernels)
        return total.transpose(0, 4, 3, 1, 2).reshape(weight.shape)

    return channels_first(y), dx, dweight, lambda g: np.sum(np.sum(channels_last(g), (0, 1)), 0)


def _correlate(x: Array, kernels: Array, geometry: Geometry, bias: Array | None = None) -> Array:
    """Images x (N, H, W, C) under the kernels, plus bias (O,): (N, h, w, O)."""
    height, width = geometry.output(*x.shape[1:3])
    dtype = np.result_type(x, kernels)
    x, kernels = x.astype(dtype, copy=False), kernels.astype(dtype, copy=False)
    y = np.empty_like(x, shape=(len(x), height, width, _outputs(kernels)))
    added = 0 if bias is None else np.tile(bias, (width, 1))  # whole rows: NumPy is slow where axes are short
    _each_part(lambda part, windows: np.add(windows.times(kernels), added, out=y[part]), x, kernels, geometry)
    return y


def _each_part(function: Callable[[slice, _Windows], Any], x: Array, kernels: Array, geometry: Geometry) -> list[Any]:
    """What the function gives for the windows of each part of the images (N, H, W, C), in their order."""
    kind, parts = _parts(x, kernels, geometry)
    return each_part(lambda part: function(part, kind(x[part], kernels, geometry)), parts)


class _Windows(Protocol):
    """What the windows of some images see."""

    def times(self, kernels: Array) -> Array:
        """Its products with the kernels (groups, kh, kw, C/groups, O/groups): (n, h, w, O), until the next call."""

    def against(self, g: Array) -> Array:
        """Its products with a gradient (n, h, w, O), summed over all windows: the kernels', in their order."""


class _Rows:
    """Dense windows of one group, seen a row at a time; `windows` is (chunk, kh, kw, every kw-th place, kw · C).

    There is a place for every pixel and for the margin that it shares with the next row or image. A chunk of places
    stays in the cache; all of them are one call, for threads hinder each other between calls.
    """

    def __init__(self, x: Array, kernels: Array, geometry: Geometry) -> None:
        (kh, kw), (top, left), channels = geometry.kernel, geometry.before, x.shape[3]
        self.sizes = geometry.output(*x.shape[1:3])
        self.grid = len(x), *_grid(x, geometry)
        self.places, width = math.prod(self.grid), self.grid[2]
        chunks = -(-self.places * channels * _outputs(kernels) // SMALL)
        every = -(-self.places // (chunks * kw))
        first, down = top * width + left, geometry.dilation[0] * width
        line = scratch("line", (max(first + self.places, (chunks * every + 1) * kw + (kh - 1) * down), channels), x)
        line[...] = 0
        line[first : first + self.places].reshape(*self.grid, channels)[:, : x.shape[1], : x.shape[2]] = x
        steps = every * kw * channels, down * channels, channels, kw * channels, 1
        self.windows = strided(line, (chunks, kh, kw, every, kw * channels), steps)

    def times(self, kernels: Array) -> Array:
        """See _Windows."""
        chunks, kh, kw, every, _ = self.windows.shape
        outputs = _outputs(kernels)
        sums = scratch("sums", (chunks, kh, every, kw, outputs), self.windows)
        np.matmul(self.windows, kernels.reshape(kh, 1, -1, outputs), out=sums.swapaxes(2, 3))
        total = np.add.reduce(sums, 1, out=scratch("total", (chunks, every, kw, outputs), self.windows))
        return self._images(total)

    def against(self, g: Array) -> Array:
        """See _Windows."""
        chunks, _, kw, every, _ = self.windows.shape
        rows = scratch("rows", (chunks, every, kw, g.shape[3]), g)
        rows[...] = 0
        self._images(rows)[...] = g
        total: Array = np.sum(self.windows.swapaxes(3, 4) @ rows.swapaxes(1, 2)[:, None], (0, 2))
        return total

    def _images(self, places: Array) -> Array:
        """The view (n, h, w, O) of what there is for each place (chunk, every, kw, O)."""
        outputs, (height, width) = places.shape[3], self.sizes
        return places.reshape(-1, outputs)[: self.places].reshape(*self.grid, outputs)[:, :height, :width]


class _Columns:
    """Any windows, copied; `windows` is (groups, n, places, kh · kw · C/groups)."""

    def __init__(self, x: Array, kernels: Array, geometry: Geometry) -> None:
        (s, t), (d, e), (height, width) = geometry.stride, geometry.dilation, geometry.output(*x.shape[1:3])
        (top, left), (n, H, W, _) = geometry.before, x.shape
        groups, kh, kw, channels, _ = kernels.shape
        self.sizes = height, width
        if geometry.one_to_one and groups == 1:  # the images are what the windows see
            self.windows = x.reshape(1, n, -1, channels)
            return
        padded = scratch("line", (n, top + H + geometry.after[0], left + W + geometry.after[1], x.shape[3]), x)
        padded[...] = 0
        padded[:, top : top + H, left : left + W] = x
        image, row, pixel = (step // x.itemsize for step in padded.strides[:3])
        shape = groups, n, height, width, kh, kw, channels
        seen = strided(padded, shape, (channels, image, s * row, t * pixel, d * row, e * pixel, 1))
        self.windows = _copied(seen, kw * channels < SHORT)

    def times(self, kernels: Array) -> Array:
        """See _Windows."""
        groups, images, places, _ = self.windows.shape
        outputs = kernels.shape[4]
        products = scratch("sums", (groups, images, places, outputs), self.windows)
        np.matmul(self.windows, kernels.reshape(groups, 1, -1, outputs), out=products)
        return products.transpose(1, 2, 0, 3).reshape(images, *self.sizes, groups * outputs)

    def against(self, g: Array) -> Array:
        """See _Windows."""
        groups, images, places, _ = self.windows.shape
        rows = g.reshape(images, places, groups, -1).transpose(2, 0, 1, 3)
        total: Array = np.sum(self.windows.swapaxes(2, 3) @ rows, 1)
        return total


def _copied(seen: Array, upright: bool) -> Array:
    """The windows (groups, n, h, w, kh, kw, C/groups) as (groups, n, places, all that one sees).

    Where one sees few numbers in a row (`upright`), those that all windows see in one cell are put side by side.
    """
    if upright:
        seen = seen.transpose(0, 1, 4, 5, 6, 2, 3)
    columns = scratch("columns", seen.shape, seen)
    columns[...] = seen
    first, second = math.prod(seen.shape[2 : 5 if upright else 4]), math.prod(seen.shape[5 if upright else 4 :])
    columns = columns.reshape(*seen.shape[:2], first, second)
    return columns.swapaxes(2, 3) if upright else columns


def _parts(x: Array, kernels: Array, geometry: Geometry) -> tuple[type[_Rows | _Columns], list[slice]]:
    """How to look at the windows, and of how many images (n, H, W, C) together."""
    (kh, kw), channels, outputs = geometry.kernel, x.shape[3], _outputs(kernels)
    grid, places = math.prod(_grid(x, geometry)), math.prod(geometry.output(*x.shape[1:3]))
    neighbours = geometry.stride == (1, 1) and geometry.dilation[1] == 1 and len(kernels) == 1
    cheap = kw * channels >= SHORT and grid * outputs < places * (outputs + COPYING)
    if neighbours and cheap and FEW * kw * channels * outputs <= SMALL and not geometry.one_to_one:
        return _Rows, even_parts(len(x), grid * (channels + kh * outputs), TOGETHER, SHARED)
    return _Columns, even_parts(len(x), places * (kh * kw * channels + outputs), TOGETHER, SHARED)


def _grid(x: Array, geometry: Geometry) -> tuple[int, int]:
    """The rows and columns of an image (n, H, W, C) with a margin that serves two neighbours, wide enough for both."""
    sizes = zip(x.shape[1:3], geometry.before, geometry.after, geometry.output(*x.shape[1:3]), strict=True)
    height, width = (max(size + max(before, after), windows) for size, before, after, windows in sizes)
    return height, width


@one_thread()
def _scatter(g: Array, kernels: Array, geometry: Geometry, x: Array) -> Array:
    """dx of any windows: what each gives to the cells that it saw, added up (col2im); g is (N, h, w, O)."""
    groups, (_, channels, height, width) = len(kernels), x.shape
    matrix = kernels.reshape(groups, -1, kernels.shape[4]).swapaxes(1, 2)
    sizes = [a + size + b for a, size, b in zip(geometry.before, (height, width), geometry.after, strict=True)]
    total = np.zeros_like(x, shape=(len(x), *sizes, channels))
    step = max(1, TOGETHER // max(1, math.prod(g.shape[1:3]) * matrix.shape[2] * groups))
    for start in range(0, len(x), step):
        part = g[start : start + step]
        columns = part.reshape(-1, groups, matrix.shape[1]).swapaxes(0, 1) @ matrix
        columns = columns.reshape(groups, *part.shape[:3], *geometry.kernel, -1)
        for (i, j), seen in geometry.taps(channels_first(total[start : start + step]), g.shape[1:3]):
            seen += columns[..., i, j, :].transpose(1, 0, 4, 2, 3).reshape(seen.shape)
    return geometry.inside(channels_first(total), height, width)


def _outputs(kernels: Array) -> int:
    """Channels of what the kernels make of an image."""
    return int(kernels.shape[0] * kernels.shape[4])
