"""Layers that only change the shape; the batch axis stays."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge

from dlscratch.autograd import Tensor
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.site import Shape, Site


class Flatten(Layer):
    """Several axes in one: images (batch, 1, 28, 28) become rows (batch, 784)."""

    apart: ClassVar[bool] = True

    start_dim: Annotated[int, Ge(1), Doc("first of the axes, counted with the batch axis")] = 1
    end_dim: Annotated[int, Doc("last of the axes; negative counts from the end")] = -1

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        """The axes from start_dim to end_dim become one; a single number becomes a row of one."""
        first, end = self.start_dim - 1, self.end_dim % (len(shape) + 1)
        if not shape:
            return (1,)
        if not -len(shape) <= self.end_dim <= len(shape) or first >= end:
            wanted = f"start_dim {self.start_dim} to end_dim {self.end_dim}"
            raise site.error(f"{wanted} is no stretch of the axes of (batch, …{shape}) that {site.previous} gives")
        return (*shape[:first], math.prod(shape[first:end]), *shape[end:])

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return x.reshape(x.shape[0], *self.shape_after(x.shape[1:], self.site or Site()))


class Reshape(Layer):
    """The elements of each example in another shape."""

    apart: ClassVar[bool] = True

    shape: Annotated[tuple[int, ...], Ge(-1), Doc("sizes without the batch axis; one of them may be -1")]

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        known, count = math.prod(size for size in self.shape if size != -1), math.prod(shape)
        free = self.shape.count(-1)
        if free > 1 or (count % known if free and known else known != count):
            raise site.error(f"shape {list(self.shape)} does not hold the {count} numbers that {site.previous} gives")
        return tuple(count // known if size == -1 else size for size in self.shape)

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return x.reshape(x.shape[0], *self.shape_after(x.shape[1:], self.site or Site()))
