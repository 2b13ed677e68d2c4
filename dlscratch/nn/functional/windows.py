"""Windows that pass over images, for convolution and pooling; and the order in which images lie in memory.

Images are (N, C, H, W) for everyone. In memory the channels come last, as results of convolutions do: the numbers that
a window sees in one row of an image are then neighbours, and a window beside it sees the same ones, shifted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from dlscratch.backend import Array

Pair = int | tuple[int, int]
Padding = Pair | Literal["same"]


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
        if min(kernel + steps + spread) < 1:
            raise ValueError(f"expected sizes of at least 1, got kernel {kernel}, stride {steps}, dilation {spread}")
        if padding != "same":
            around = pair(padding)
            if min(around) < 0:
                raise ValueError(f"padding is {around}; expected at least 0")
            return cls(kernel, steps, spread, around, around)
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
    def one_to_one(self) -> bool:
        """Whether each window sees one pixel, and each pixel has a window."""
        return self.kernel == self.stride == (1, 1) and not any(self.before + self.after)

    def reversed(self) -> Geometry | None:
        """Of dense windows: those with which the kernels, turned round, make dx of the output's gradient."""
        down, right = (d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True))
        before, after = (down - self.before[0], right - self.before[1]), (down - self.after[0], right - self.after[1])
        fits = self.stride == (1, 1) and min(before + after) >= 0
        return self._replace(before=before, after=after) if fits else None


def channels_last(x: Array) -> Array:
    """x (N, C, ...) as (N, ..., C) without gaps: a view where its memory is in that order."""
    last = x.transpose(0, *range(2, x.ndim), 1)
    return last if last.flags.c_contiguous else last.copy()


def channels_first(x: Array) -> Array:
    """The view (N, C, ...) of x (N, ..., C)."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))
