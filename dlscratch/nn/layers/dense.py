"""Linear, Embedding and Dropout."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge, Gt, Lt

from dlscratch.autograd import Tensor
from dlscratch.errors import ShapeError, UsageError
from dlscratch.nn import functional as F
from dlscratch.nn.initializers import InitializerOption, KaimingUniform, Normal, Uniform
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.site import Shape, Site
from dlscratch.nn.options import REQUIRED

Bias = Annotated[bool, Doc("whether to add a bias")]
WeightInit = Annotated[InitializerOption, "initializer", Doc("how the weight begins; without it as in PyTorch")]
BiasInit = Annotated[InitializerOption, "initializer", Doc("how the bias begins; without it as in PyTorch")]


def create_weight_and_bias(
    layer: Layer, site: Site, shape: Shape, bias: bool, weight_init: InitializerOption, bias_init: InitializerOption
) -> None:
    """The parameters of Linear and Conv2d; by default both are uniform in ±1/√fan_in, as in PyTorch."""
    bound = 1 / math.sqrt(max(math.prod(shape[1:]), 1))
    layer.weights["weight"] = site.parameter("weight", shape, weight_init, KaimingUniform(a=math.sqrt(5)))
    if bias:
        layer.weights["bias"] = site.parameter("bias", shape[:1], bias_init, Uniform(-bound, bound))


class Linear(Layer):
    """y = x Wᵀ + b over the last axis of x; weight is (out_features, in_features)."""

    releases: ClassVar[bool] = True

    in_features: Annotated[int | None, Gt(0), Doc("size of each input row; inferred when left out")] = None
    out_features: Annotated[int, Gt(0), Doc("size of each output row")] = REQUIRED
    bias: Bias = True
    weight_init: WeightInit = None
    bias_init: BiasInit = None

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        if not shape:
            raise site.error(f"expected rows, but {site.previous} gives one number each, shape (batch,); reshape it")
        site.size("in_features", self.in_features, shape[-1])
        return (*shape[:-1], self.out_features)

    def create(self, shape: Shape, site: Site) -> None:
        self.in_features = shape[-1]
        sizes = self.out_features, self.in_features
        create_weight_and_bias(self, site, sizes, self.bias, self.weight_init, self.bias_init)
        weight = self.weights["weight"]
        weight.data = np.asfortranarray(weight.data)  # the order in which its gradient comes, too

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.linear(x, *self.weights.values())


class Embedding(Layer):
    """Integers to rows of weight: an input of shape S gives S + (embedding_dim,)."""

    takes_integers: ClassVar[bool] = True

    num_embeddings: Annotated[int, Gt(0), Doc("how many rows: integers from 0 to this − 1 are known")]
    embedding_dim: Annotated[int, Gt(0), Doc("size of each row")]
    weight_init: WeightInit = None

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        return (*shape, self.embedding_dim)

    def create(self, shape: Shape, site: Site) -> None:
        sizes = self.num_embeddings, self.embedding_dim
        self.weights["weight"] = site.parameter("weight", sizes, self.weight_init, Normal())

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        try:
            return F.embedding(self.weights["weight"], x)
        except ValueError as error:
            raise ShapeError(f"{self.site.name if self.site else self.kind}: {error}") from None


class Dropout(Layer):
    """In training each element becomes 0 with probability p, and the others are divided by 1 − p."""

    halves: ClassVar[bool] = True

    p: Annotated[float, Ge(0), Lt(1), Doc("probability that an element is dropped")] = 0.5

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        """In training a new draw for each call, otherwise the input. UsageError: training without a generator."""
        if not training or self.p == 0:
            return x
        if rng is None:
            name = self.site.name if self.site else self.kind
            raise UsageError(f"{name}: training needs a generator; call it with rng=numpy.random.default_rng(0)")
        return F.dropout(x, p=self.p, rng=rng)
