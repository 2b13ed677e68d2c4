"""Batch and layer normalization, with PyTorch's parameters and buffers."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge, Gt, Le

from dlscratch.autograd import Tensor
from dlscratch.nn import functional as F
from dlscratch.nn.initializers import Ones, Zeros
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.site import Shape, Site

Epsilon = Annotated[float, Gt(0), Doc("added to the variance, against division by zero")]
Features = Annotated[int | None, Gt(0), Doc("channels of the input; inferred when left out")]
Momentum = Annotated[
    float | None, Ge(0), Le(1), Doc("weight of the newest batch in the running statistics; null: all count the same")
]


class BatchNorm(Layer):
    """What both kinds share: each channel (axis 1) with mean 0 and variance 1, then times weight, plus bias.

    In training mean and variance are the batch's; the running statistics follow them, and are used otherwise.
    """

    halves: ClassVar[bool] = True
    releases: ClassVar[bool] = True

    num_features: Features = None
    eps: Epsilon = 1e-5
    momentum: Momentum = 0.1
    affine: Annotated[bool, Doc("whether there are weight and bias")] = True
    track_running_stats: Annotated[bool, Doc("without it the batch's own statistics are used always")] = True

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        site.size("num_features", self.num_features, self._check_axes(shape, site)[0])
        return shape

    def _check_axes(self, shape: Shape, site: Site) -> Shape:
        raise NotImplementedError

    def create(self, shape: Shape, site: Site) -> None:
        """Weights of one and biases of zero; running means of zero and variances of one."""
        self.num_features = shape[0]
        if self.affine:
            self.weights["weight"] = site.parameter("weight", shape[:1], None, Ones())
            self.weights["bias"] = site.parameter("bias", shape[:1], None, Zeros())
        if self.track_running_stats:
            self.buffers["running_mean"] = np.zeros(shape[0], dtype=site.dtype)
            self.buffers["running_var"] = np.ones(shape[0], dtype=site.dtype)
            self.buffers["num_batches_tracked"] = np.array(0, dtype=np.int64)

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        """By the batch's statistics, which the running ones then follow; by the running ones outside of training."""
        if self.track_running_stats and not training:
            mean, var = self.buffers["running_mean"], self.buffers["running_var"]
            return F.batch_norm(x, *self.weights.values(), mean=mean, var=var, eps=self.eps)
        seen: dict[str, np.ndarray] = {}
        y = F.batch_norm(x, *self.weights.values(), eps=self.eps, seen=seen)
        if self.track_running_stats:
            self._track(seen["mean"], seen["var"], int(seen["count"]))
        return y

    def _track(self, mean: np.ndarray, var: np.ndarray, n: int) -> None:
        """Move the running statistics; in new arrays, since a recorded graph may hold the old ones."""
        batches = self.buffers["num_batches_tracked"] + np.int64(1)
        share = 1 / float(batches) if self.momentum is None else self.momentum
        for name, new in ("running_mean", mean), ("running_var", var * (n / (n - 1))):
            old = self.buffers[name]
            self.buffers[name] = (old + share * (new - old)).astype(old.dtype, copy=False)
        self.buffers["num_batches_tracked"] = np.asarray(batches)


class BatchNorm1d(BatchNorm):
    """Each channel of (N, C) or (N, C, L) with mean 0 and variance 1, then times weight, plus bias."""

    def _check_axes(self, shape: Shape, site: Site) -> Shape:
        return site.axes(shape, "channels", "length") if len(shape) == 2 else site.axes(shape, "channels")


class BatchNorm2d(BatchNorm):
    """Each channel of (N, C, H, W) with mean 0 and variance 1, then times weight, plus bias."""

    def _check_axes(self, shape: Shape, site: Site) -> Shape:
        return site.axes(shape, "channels", "height", "width")


class LayerNorm(Layer):
    """Each example's last axes with mean 0 and variance 1, then times weight, plus bias."""

    apart: ClassVar[bool] = True
    halves: ClassVar[bool] = False  # the sums over a batch are the engine's

    normalized_shape: Annotated[
        int | list[int] | None, Gt(0), Doc("sizes of the last axes; when left out, the last axis alone")
    ] = None
    eps: Epsilon = 1e-5
    elementwise_affine: Annotated[bool, Doc("whether there are weight and bias")] = True
    bias: Annotated[bool, Doc("whether there is a bias, if there is a weight")] = True

    def _sizes(self, shape: Shape) -> Shape:
        sizes = self.normalized_shape
        return shape[-1:] if sizes is None else (sizes,) if isinstance(sizes, int) else tuple(sizes)

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        """The same shape, whose last axes must be those of normalized_shape."""
        sizes = self._sizes(shape)
        if not sizes or shape[-len(sizes) :] != sizes:
            last = list(shape[-len(sizes) :])
            advice = "" if site.built else f"; write normalized_shape: {last} or leave it out"
            raise site.error(f"normalized_shape is {list(sizes)}, but {site.previous} gives {last}{advice}")
        return shape

    def create(self, shape: Shape, site: Site) -> None:
        """Weights of one and biases of zero, of the shape that is normalized."""
        sizes = self._sizes(shape)
        self.normalized_shape = list(sizes)
        if self.elementwise_affine:
            self.weights["weight"] = site.parameter("weight", sizes, None, Ones())
            if self.bias:
                self.weights["bias"] = site.parameter("bias", sizes, None, Zeros())

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.layer_norm(x, *self.weights.values(), axes=len(self._sizes(x.shape)), eps=self.eps)
