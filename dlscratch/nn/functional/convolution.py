"""Convolution: windows copied into columns (im2col), then one matrix product for some images together.

Images are (N, C, H, W) outside. Inside, a few at a time, so that their columns stay in the cache, they are turned to
(C, n, H, W): the product of weight (O, K) and columns (K, n · windows) then serves all n at once. BLAS has one thread,
for these products are many and thin; all cores work where Sequential cuts a batch in shards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array, scratch
from dlscratch.blas import one_thread

Pair = int | tuple[int, int]
Padding = Pair | Literal["same"]
CACHED = 2**19  # numbers in the columns of one part of the images: 2 MiB of float32
LONG = 16  # channels times kernel width from which on a product is long enough for one row of the kernel


def pair(value: Any) -> tuple[int, int]:
    """One number for height and width, or the two."""
    return (int(value), int(value)) if np.ndim(value) == 0 else (int(value[0]), int(value[1]))


class Geometry(NamedTuple):
    """Where the windows of a convolution or pooling lie, in (height, width) pairs."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]  # rows above and columns to the left that padding adds
    after: tuple[int, int]

    @classmethod
    def of(cls, kernel_size: Pair, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1) -> Geometry:
        """From PyTorch's arguments; "same" keeps the size, and puts what is odd after."""
        kernel, steps, spread = pair(kernel_size), pair(stride), pair(dilation)
        if padding != "same":
            return cls(kernel, steps, spread, pair(padding), pair(padding))
        if steps != (1, 1):
            raise ValueError(f'padding "same" needs stride 1, got {steps}')
        total = [d * (k - 1) for k, d in zip(kernel, spread, strict=True)]
        before = total[0] // 2, total[1] // 2
        return cls(kernel, steps, spread, before, (total[0] - before[0], total[1] - before[1]))

    def output(self, height: int, width: int) -> tuple[int, int]:
        """The number of windows in each direction; ValueError where not even one fits."""
        sizes = []
        for size, k, s, d, a, b in zip((height, width), *self, strict=True):
            padded = size + a + b
            if padded < d * (k - 1) + 1:
                raise ValueError(
                    f"a window of {self.kernel}, dilation {self.dilation}, does not fit into {height} × {width} with "
                    f"padding {self.before}; make the kernel smaller or the padding larger"
                )
            sizes.append((padded - d * (k - 1) - 1) // s + 1)
        return sizes[0], sizes[1]

    def padded(self, x: Array, value: float = 0) -> Array:
        """x (N, C, H, W) with its margins; x itself where there are none."""
        widths = [(0, 0), (0, 0), *zip(self.before, self.after, strict=True)]
        return np.pad(x, widths, constant_values=value) if any(map(any, widths)) else x

    def inside(self, padded: Array, height: int, width: int) -> Array:
        """The view of `padded` without its margins."""
        top, left = self.before
        return padded[:, :, top : top + height, left : left + width]

    def taps(self, padded: Array, sizes: tuple[int, int]) -> Iterator[tuple[tuple[int, int], Array]]:
        """For each cell (i, j) of the window, the view (N, C, *sizes) of what all windows see there."""
        (s, t), (d, e), (height, width) = self.stride, self.dilation, sizes
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows = slice(i * d, i * d + s * (height - 1) + 1, s)
                yield (i, j), padded[:, :, rows, slice(j * e, j * e + t * (width - 1) + 1, t)]

    @property
    def dense(self) -> bool:
        """Whether there is a window at every place."""
        return self.stride == (1, 1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The places that columns are made for: of dense windows all in the padded image, even where one hangs over."""
        (top, left), (bottom, right) = self.before, self.after
        return (top + height + bottom, left + width + right) if self.dense else self.output(height, width)

    def columns(self, x: Array, groups: int) -> list[Array]:
        """im2col: images (n, C, H, W) to (groups, C/groups · kh · kw, n · places of the grid), in one part or more.

        The columns of dense windows that see one row are those of the next row, shifted by a line of the images: where
        a row gives products long enough, only its columns are copied, and the parts for the rows are views of them.
        """
        n, C, H, W = x.shape
        places = n * math.prod(self.grid(H, W))
        if self.dense:
            return self._shifted(x, groups, places)
        columns = scratch("columns", (C, *self.kernel, places), x)
        for (i, j), seen in self.taps(self.padded(x).transpose(1, 0, 2, 3), self.output(H, W)):
            columns[:, i, j].reshape(C, n, *seen.shape[2:])[...] = seen
        return [columns.reshape(groups, -1, places)]

    def _shifted(self, x: Array, groups: int, places: int) -> list[Array]:
        """The columns of dense windows: each cell of a window sees the images, laid end to end, shifted by so much."""
        (n, C, H, W), (top, left), (kh, kw) = x.shape, self.before, self.kernel
        height, width = self.grid(H, W)
        down, right = self.dilation[0] * width, self.dilation[1]
        line = scratch("line", (C, places + (kh - 1) * down + (kw - 1) * right), x)
        line[...] = 0
        line[:, :places].reshape(C, n, height, width)[:, :, top : top + H, left : left + W] = x.transpose(1, 0, 2, 3)
        rows = self.rows_apart(C // groups)
        length = places + (rows - 1) * down
        columns = scratch("columns", (C, kh // rows, kw, length), x)
        for i, j in np.ndindex(kh // rows, kw):
            start = i * down + j * right
            columns[:, i, j] = line[:, start : start + length]
        columns = columns.reshape(groups, -1, length)
        return [columns[..., row * down : row * down + places] for row in range(rows)]

    def rows_apart(self, channels: int) -> int:
        """In how many parts the columns come: one for each row of the kernel, or one for all."""
        return self.kernel[0] if self.dense and channels * self.kernel[1] >= LONG else 1

    def matrices(self, kernels: Array) -> list[Array]:
        """The kernels (groups, O/groups, C/groups, kh, kw) as (groups, O/groups, …), one for each part of columns."""
        groups, outputs, channels = kernels.shape[:3]
        if self.rows_apart(channels) == 1:
            return [kernels.reshape(groups, outputs, -1)]
        return [kernels[:, :, :, row].reshape(groups, outputs, -1) for row in range(self.kernel[0])]

    def reversed(self) -> Geometry | None:
        """Of dense windows: those with which the kernels, turned round, make dx of the output's gradient."""
        down, right = (d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True))
        before, after = (down - self.before[0], right - self.before[1]), (down - self.after[0], right - self.after[1])
        fits = self.dense and min(before + after) >= 0
        return self._replace(before=before, after=after) if fits else None


@op(
    sample((2, 3, 5, 6), (4, 3, 3, 2), (4,)),
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
    geometry = Geometry.of(weight.shape[2:], stride, padding, dilation)
    kernels = weight.reshape(groups, -1, *weight.shape[1:])
    y = _correlate(x, kernels, geometry, bias)
    opposite = geometry.reversed()

    def dx(g: Array) -> Array:
        if opposite is None:
            return _scatter(g, kernels, geometry, x)
        return _correlate(g, kernels.swapaxes(1, 2)[..., ::-1, ::-1], opposite)

    @one_thread()
    def dweight(g: Array) -> Array:
        totals = [np.zeros_like(matrix.swapaxes(1, 2)) for matrix in geometry.matrices(kernels)]
        for part in _parts(x, kernels, geometry):  # the columns are made again: they are too many to keep
            rows = _rows(g[part], groups, geometry, x).swapaxes(1, 2)
            for total, columns in zip(totals, geometry.columns(x[part], groups), strict=True):
                total += columns @ rows
        return _kernels(totals, weight.shape)

    return y, dx, dweight, lambda g: np.sum(g, (0, 2, 3))


def _kernels(totals: list[Array], shape: tuple[int, ...]) -> Array:
    """What `Geometry.matrices` undoes, for the transposed matrices: (O, C/groups, kh, kw)."""
    outputs, C, kh, kw = shape
    parts = [total.swapaxes(1, 2).reshape(outputs, C, kh // len(totals), kw) for total in totals]
    return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0].copy()


@one_thread()
def _correlate(x: Array, kernels: Array, geometry: Geometry, bias: Array | None = None) -> Array:
    """Images x (N, C, H, W) under kernels (groups, O/groups, C/groups, kh, kw), plus bias (O,): (N, O, h, w)."""
    groups, outputs = len(kernels), kernels.shape[0] * kernels.shape[1]
    (height, width), grid = geometry.output(*x.shape[2:]), geometry.grid(*x.shape[2:])
    first, *others = geometry.matrices(kernels)
    dtype = np.result_type(x, kernels)
    y = np.empty_like(x, shape=(len(x), outputs, height, width), dtype=dtype)
    for part in _parts(x, kernels, geometry):
        columns = geometry.columns(x[part], groups)
        shape = groups, outputs // groups, columns[0].shape[2]
        total = np.matmul(first, columns[0], out=scratch("sum", shape, y))
        for matrix, each in zip(others, columns[1:], strict=True):
            total += np.matmul(matrix, each, out=scratch("product", shape, y))
        images = total.reshape(outputs, -1, *grid)[:, :, :height, :width].transpose(1, 0, 2, 3)
        np.add(images, 0 if bias is None else bias.reshape(-1, 1, 1), out=y[part])
    return y


def _rows(g: Array, groups: int, geometry: Geometry, x: Array) -> Array:
    """The gradient (n, O, h, w) of an output as (groups, O/groups, n · places of the grid)."""
    n, outputs, height, width = g.shape
    rows = scratch("rows", (outputs, n, *geometry.grid(*x.shape[2:])), g)
    rows[...] = 0
    rows[:, :, :height, :width] = g.transpose(1, 0, 2, 3)
    return rows.reshape(groups, outputs // groups, -1)


@one_thread()
def _scatter(g: Array, kernels: Array, geometry: Geometry, x: Array) -> Array:
    """dx of any windows: what each gives to the cells that it saw, added up (col2im)."""
    groups, sizes = len(kernels), g.shape[2:]
    matrix = kernels.reshape(groups, kernels.shape[1], -1).swapaxes(1, 2)
    total = np.zeros_like(geometry.padded(x))
    for part in _parts(x, kernels, geometry):
        rows = g[part].transpose(1, 0, 2, 3).reshape(groups, kernels.shape[1], -1)
        columns = (matrix @ rows).reshape(x.shape[1], *geometry.kernel, -1, *sizes)
        for (i, j), seen in geometry.taps(total[part], sizes):
            seen += columns[:, i, j].transpose(1, 0, 2, 3)
    return geometry.inside(total, *x.shape[2:])


def _parts(x: Array, kernels: Array, geometry: Geometry) -> list[slice]:
    """Slices of so many images that their columns stay in the cache."""
    unrolled = math.prod(geometry.kernel) // geometry.rows_apart(kernels.shape[2])
    numbers = x.shape[1] * unrolled * math.prod(geometry.grid(*x.shape[2:]))
    step = max(1, CACHED // max(1, numbers))
    return [slice(start, start + step) for start in range(0, len(x), step)]
