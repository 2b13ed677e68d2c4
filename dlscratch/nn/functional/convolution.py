"""Convolution: windows copied into columns (im2col), then one matrix product for each image.

Images are (N, C, H, W) outside and inside: the product of weight (O, K) and an image's columns (K, P) is that image's
output (O, P) where it belongs, without a transpose. A few images at a time, so that their columns stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dlscratch.autograd import op, sample
from dlscratch.backend import Array

Pair = int | tuple[int, int]
Padding = Pair | Literal["same"]
CACHED = 2**18  # numbers in the columns of one shard of images: 1 MiB of float32


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

    def columns(self, padded: Array, groups: int) -> Array:
        """im2col: (n, C, H, W) to (n, groups, C/groups · kh · kw, windows)."""
        (kh, kw), (s, t), (d, e) = self.kernel, self.stride, self.dilation
        seen = (d * (kh - 1) + 1, e * (kw - 1) + 1)
        windows = sliding_window_view(padded, seen, (2, 3))[:, :, ::s, ::t, ::d, ::e]
        n, C, height, width = windows.shape[:4]
        return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, groups, C // groups * kh * kw, height * width)


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
    N, C, H, W = x.shape
    outputs, sizes = len(weight), geometry.output(H, W)
    kernel = weight.reshape(groups, outputs // groups, -1)
    padded = geometry.padded(x)
    shards = _shards(N, groups * kernel.shape[2] * sizes[0] * sizes[1])
    y = np.empty_like(x, shape=(N, groups, outputs // groups, sizes[0] * sizes[1]), dtype=np.result_type(x, weight))
    for part in shards:
        np.matmul(kernel, geometry.columns(padded[part], groups), out=y[part])
    if bias is not None:
        y += bias.reshape(groups, -1, 1)

    def dx(g: Array) -> Array:
        g = g.reshape(y.shape)
        total = np.zeros_like(padded)
        for part in shards:
            columns = (kernel.swapaxes(1, 2) @ g[part]).reshape(-1, C, *geometry.kernel, *sizes)
            for (i, j), seen in geometry.taps(total[part], sizes):
                seen += columns[:, :, i, j]
        return geometry.inside(total, H, W)

    def dweight(g: Array) -> Array:
        g = g.reshape(y.shape)
        total = np.zeros_like(kernel)
        for part in shards:  # the columns are made again: nine times the image would be too much to keep
            total += np.sum(g[part] @ geometry.columns(padded[part], groups).swapaxes(2, 3), axis=0)
        return total.reshape(weight.shape)

    return y.reshape(N, outputs, *sizes), dx, dweight, lambda g: np.sum(g, (0, 2, 3))


def _shards(images: int, numbers: int) -> list[slice]:
    """Slices of so many images that their columns, `numbers` for each, stay in the cache."""
    step = max(1, CACHED // max(1, numbers))
    return [slice(start, start + step) for start in range(0, images, step)]
