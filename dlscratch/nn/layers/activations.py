"""Activations as layers: PyTorch's names and options."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_doc import Doc
from annotated_types import Gt

from dlscratch.autograd import Tensor
from dlscratch.nn import functional as F
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.site import Shape, Site

Dim = Annotated[int, Doc("the axis whose elements add up to 1, counted with the batch axis")]


class ReLU(Layer):
    """max(x, 0)."""

    apart: ClassVar[bool] = True
    overwrites: ClassVar[bool] = True

    def forward(
        self, x: Tensor, training: bool, rng: np.random.Generator | None, overwrite: bool = False
    ) -> Tensor:
        return F.relu(x, overwrite=overwrite)


class LeakyReLU(Layer):
    """x where x > 0, negative_slope · x elsewhere."""

    apart: ClassVar[bool] = True

    negative_slope: Annotated[float, Doc("the slope where x < 0")] = 0.01

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.leaky_relu(x, negative_slope=self.negative_slope)


class GELU(Layer):
    """x · Φ(x), with Φ the normal distribution function."""

    apart: ClassVar[bool] = True

    approximate: Annotated[Literal["none", "tanh"], Doc("tanh: the approximation of the first papers")] = "none"

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.gelu(x, approximate=self.approximate)


class SiLU(Layer):
    """x · σ(x), also called swish."""

    apart: ClassVar[bool] = True

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.silu(x)


class Sigmoid(Layer):
    """1 / (1 + exp(−x))."""

    apart: ClassVar[bool] = True

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.sigmoid(x)


class Tanh(Layer):
    """The hyperbolic tangent."""

    apart: ClassVar[bool] = True

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return x.tanh()


class Softplus(Layer):
    """log(1 + exp(beta · x)) / beta."""

    apart: ClassVar[bool] = True

    beta: Annotated[float, Gt(0), Doc("how sharp the bend is")] = 1.0

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.softplus(x, beta=self.beta)


class Softmax(Layer):
    """exp(x) / Σ exp(x) along an axis. Not before a cross_entropy loss, which has it inside."""

    apart: ClassVar[bool] = True

    dim: Dim = -1

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        return _check_dim(self.dim, shape, site)

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.softmax(x, axis=self.dim)


class LogSoftmax(Layer):
    """x − log Σ exp(x) along an axis."""

    apart: ClassVar[bool] = True

    dim: Dim = -1

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        return _check_dim(self.dim, shape, site)

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.log_softmax(x, axis=self.dim)


def _check_dim(dim: int, shape: Shape, site: Site) -> Shape:
    axes = len(shape) + 1
    if not (1 <= dim < axes or -axes < dim < 0):
        raise site.error(f"dim is {dim}; expected an axis after the batch axis, -1 or from 1 to {axes - 1}")
    return shape
