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
from dlscratch.crew import each_part, even_parts
from dlscratch.nn.functional.windows import Geometry, Padding, Pair, channels_first, channels_last
from dlscratch.team import halves, sum_halves

SMALL = 900_000  # multiplications up to which OpenBLAS takes matrices as they are; it copies larger ones first
FEW = 64  # rows of a matrix from which on such products are the faster ones
NEAR = 6800  # numbers of a matrix that stays in the first cache while several others meet it
TOGETHER = 2**19  # numbers that are read and written for one part of the images
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
        total = sum_halves([each.reshape(kernels.shape) for each in found]) if found else np.zeros_like(kernels)
        return total.transpose(0, 4, 3, 1, 2).reshape(weight.shape)

    def dbias(g: Array) -> Any:
        g = channels_last(g)
        return sum_halves([np.sum(np.sum(g[half], (0, 1)), 0) for half in halves(len(g))])

    return channels_first(y), dx, dweight, dbias


def _correlate(x: Array, kernels: Array, geometry: Geometry, bias: Array | None = None) -> Array:
    """Images x (N, H, W, C) under the kernels, plus bias (O,): (N, h, w, O)."""
    height, width = geometry.output(*x.shape[1:3])
    dtype = np.result_type(x, kernels)
    x, kernels = x.astype(dtype, copy=False), kernels.astype(dtype, copy=False)
    y = np.empty_like(x, shape=(len(x), height, width, _outputs(kernels)))
    added = None if bias is None else np.tile(bias, _grid(x, geometry)[1])

    def compute(part: slice, windows: _Windows) -> None:
        windows.times(kernels, added, y[part])

    _each_part(compute, x, kernels, geometry)
    return y


def _each_part(function: Callable[[slice, _Windows], Any], x: Array, kernels: Array, geometry: Geometry) -> list[Any]:
    """What the function gives for the windows of each part of the images (N, H, W, C), in their order."""
    kind, numbers = _looked_at(x, kernels, geometry)
    parts = even_parts(len(x), numbers, TOGETHER)
    return each_part(lambda part: function(part, kind(x[part], kernels, geometry)), parts, len(x) * numbers > SHARED)


class _Windows(Protocol):
    """What the windows of some images see."""

    def times(self, kernels: Array, bias: Array | None, out: Array) -> None:
        """Write the products with the kernels (groups, kh, kw, C/groups, O/groups), plus bias, to `out` (n, h, w, O).

        `bias` (O,) is repeated, often enough for a row of an image with its margins.
        """

    def against(self, g: Array) -> Array:
        """Its products with a gradient (n, h, w, O), summed over all windows: the kernels', in their order."""


class _Rows:
    """Dense windows of one group, seen a row at a time.

    There is a place for every pixel and for the margin that it shares with the next row or image. The places are cut
    in chunks, of which all are one call of NumPy.
    """

    def __init__(self, x: Array, kernels: Array, geometry: Geometry) -> None:
        (kh, kw), (top, left), channels = geometry.kernel, geometry.before, x.shape[3]
        self.grid = len(x), *_grid(x, geometry)
        self.kernel, self.down = geometry.kernel, geometry.dilation[0] * self.grid[2]
        self.places, first = math.prod(self.grid), top * self.grid[2] + left
        self.most = SMALL // (kw * channels * _outputs(kernels))  # rows of a chunk's matrices
        end = max(first + self.places, self.places + self.places // FEW + 2 * kw + (kh - 1) * self.down)
        self.line = scratch("line", (end, channels), x)
        self.line[:first] = self.line[first + self.places :] = 0
        _fill(self.line[first : first + self.places].reshape(*self.grid, channels), x)

    def windows(self, most: int) -> Array:
        """What they see: (chunk, kh, kw, every kw-th place, kw · C), at most so many places."""
        (kh, kw), channels = self.kernel, self.line.shape[1]
        chunks = -(-self.places // (kw * most))
        every = -(-self.places // (kw * chunks))
        steps = every * kw * channels, self.down * channels, channels, kw * channels, 1
        return strided(self.line, (chunks, kh, kw, every, kw * channels), steps)

    def times(self, kernels: Array, bias: Array | None, out: Array) -> None:
        """See _Windows."""
        windows, outputs = self.windows(self.most), _outputs(kernels)
        chunks, kh, kw, every, _ = windows.shape
        sums = scratch("sums", (kh, chunks, every, kw, outputs), windows)
        np.matmul(windows, kernels.reshape(kh, 1, -1, outputs), out=sums.transpose(1, 0, 3, 2, 4))
        for row in range(1, kh):
            sums[0] += sums[row]
        images = sums[0].reshape(-1, outputs)[: self.places].reshape(*self.grid, outputs)
        if bias is not None:
            _add_bias(images, bias)
        out[...] = images[:, : out.shape[1], : out.shape[2]]

    def against(self, g: Array) -> Array:
        """See _Windows."""
        windows = self.windows(min(self.most, max(FEW, NEAR // (self.kernel[1] * self.line.shape[1]))))
        chunks, _, kw, every, numbers = windows.shape
        outputs = g.shape[3]
        rows = scratch("rows", (chunks, every, kw, outputs), g)
        flat = rows.reshape(-1, outputs)
        flat[self.places :] = 0
        _fill(flat[: self.places].reshape(*self.grid, outputs), g)
        turned = rows.transpose(0, 2, 3, 1)[:, None]  # (chunk, 1, kw, O, every)
        total: Array
        if outputs < numbers:
            total = np.sum(turned @ windows, (0, 2)).swapaxes(1, 2)
        else:
            total = np.sum(windows.swapaxes(3, 4) @ turned.swapaxes(3, 4), (0, 2))
        return total


def _add_bias(images: Array, bias: Array) -> None:
    """Add a repeated bias to images (n, H, W, O), a whole row at a time: NumPy is slow where axes are short."""
    rows = images.reshape(-1, images.shape[2] * images.shape[3])
    rows += bias[: rows.shape[1]]


def _fill(grid: Array, images: Array) -> None:
    """Write images (n, H, W, C) into a grid with a margin below and to the right of each, which becomes 0."""
    height, width = images.shape[1:3]
    grid[:, :height, :width] = images
    grid[:, :height, width:] = grid[:, height:] = 0


class _Columns:
    """Any windows, copied; `windows` is (groups, n, places, kh · kw · C/groups)."""

    def __init__(self, x: Array, kernels: Array, geometry: Geometry) -> None:
        (s, t), (d, e), (height, width) = geometry.stride, geometry.dilation, geometry.output(*x.shape[1:3])
        (top, left), (n, H, W, _) = geometry.before, x.shape
        groups, kh, kw, channels, _ = kernels.shape
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

    def times(self, kernels: Array, bias: Array | None, out: Array) -> None:
        """See _Windows."""
        groups, images, places, _ = self.windows.shape
        products = out.reshape(images, places, groups, -1).transpose(2, 0, 1, 3)
        np.matmul(self.windows, kernels.reshape(groups, 1, -1, kernels.shape[4]), out=products)
        if bias is not None:
            _add_bias(out, bias)

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


def _looked_at(x: Array, kernels: Array, geometry: Geometry) -> tuple[type[_Rows | _Columns], int]:
    """How to look at the windows of images (n, H, W, C), and how many numbers are read and written for one."""
    (kh, kw), channels, outputs = geometry.kernel, x.shape[3], _outputs(kernels)
    grid, places = math.prod(_grid(x, geometry)), math.prod(geometry.output(*x.shape[1:3]))
    neighbours = geometry.stride == (1, 1) and geometry.dilation[1] == 1 and len(kernels) == 1
    cheap = kw * channels >= SHORT and grid * outputs < places * (outputs + COPYING)
    if neighbours and cheap and FEW * kw * channels * outputs <= SMALL and not geometry.one_to_one:
        return _Rows, grid * (channels + kh * outputs)
    return _Columns, places * (kh * kw * channels + outputs)


def _grid(x: Array, geometry: Geometry) -> tuple[int, int]:
    """The rows and columns of an image (n, H, W, C) with a margin that serves two neighbours, wide enough for both."""
    sizes = zip(x.shape[1:3], geometry.before, geometry.after, geometry.output(*x.shape[1:3]), strict=True)
    height, width = (max(size + max(before, after), windows) for size, before, after, windows in sizes)
    return height, width


def _scatter(g: Array, kernels: Array, geometry: Geometry, x: Array) -> Array:
    """dx of any windows: what each gives to the cells that it saw, added up (col2im); g is (N, h, w, O)."""
    groups, (_, channels, height, width) = len(kernels), x.shape
    matrix = kernels.reshape(groups, -1, kernels.shape[4]).swapaxes(1, 2)
    sizes = [a + size + b for a, size, b in zip(geometry.before, (height, width), geometry.after, strict=True)]
    total = np.zeros_like(x, shape=(len(x), *sizes, channels))
    numbers = math.prod(g.shape[1:3]) * matrix.shape[2] * groups

    def scatter(part: slice) -> None:
        columns = g[part].reshape(-1, groups, matrix.shape[1]).swapaxes(0, 1) @ matrix
        columns = columns.reshape(groups, *g[part].shape[:3], *geometry.kernel, -1)
        for (i, j), seen in geometry.taps(channels_first(total[part]), g.shape[1:3]):
            seen += columns[..., i, j, :].transpose(1, 0, 4, 2, 3).reshape(seen.shape)

    each_part(scatter, even_parts(len(x), numbers, TOGETHER), len(x) * numbers > SHARED)
    return geometry.inside(channels_first(total), height, width)


def _outputs(kernels: Array) -> int:
    """Channels of what the kernels make of an image."""
    return int(kernels.shape[0] * kernels.shape[4])
