"""Layers for images (N, C, H, W): convolution and pooling."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_doc import Doc
from annotated_types import Ge, Gt

from dlscratch.autograd import Tensor
from dlscratch.nn import functional as F
from dlscratch.nn.functional.pooling import pooling_geometry
from dlscratch.nn.functional.windows import Geometry, pair
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.dense import Bias, BiasInit, WeightInit, create_weight_and_bias
from dlscratch.nn.layers.site import Shape, Site
from dlscratch.nn.options import REQUIRED

Size = int | tuple[int, int]
AXES = "channels", "height", "width"


def after_windows(shape: Shape, site: Site, geometry: Geometry) -> Shape:
    """The shape after windows have passed over the height and width of (C, H, W)."""
    channels, height, width = site.axes(shape, *AXES)
    try:
        return (channels, *geometry.output(height, width))
    except ValueError as error:
        raise site.error(error) from None


class Conv2d(Layer):
    """Cross-correlation of images with kernels; weight is (out_channels, in_channels / groups, height, width)."""

    apart: ClassVar[bool] = True
    halves: ClassVar[bool] = True
    releases: ClassVar[bool] = True

    in_channels: Annotated[int | None, Gt(0), Doc("channels of the input; inferred when left out")] = None
    out_channels: Annotated[int, Gt(0), Doc("channels of the output: the number of kernels")] = REQUIRED
    kernel_size: Annotated[Size, Gt(0), Doc("height and width of the kernels, or one number for both")] = REQUIRED
    stride: Annotated[Size, Gt(0), Doc("how far the kernel moves at a time")] = 1
    padding: Annotated[Size | Literal["same"], Ge(0), Doc("zeros around the image; same keeps height and width")] = 0
    dilation: Annotated[Size, Gt(0), Doc("distance between the cells of the kernel")] = 1
    groups: Annotated[int, Gt(0), Doc("parts that the channels are cut into, each with kernels of its own")] = 1
    bias: Bias = True
    weight_init: WeightInit = None
    bias_init: BiasInit = None

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        """An image of as many channels as there are kernels; groups must divide both numbers of channels."""
        in_channels = site.size("in_channels", self.in_channels, site.axes(shape, *AXES)[0])
        for name, channels in ("in_channels", in_channels), ("out_channels", self.out_channels):
            if channels % self.groups:
                raise site.error(f"{name} is {channels}, which groups: {self.groups} does not divide")
        try:
            geometry = Geometry.of(self.kernel_size, self.stride, self.padding, self.dilation)
        except ValueError as error:
            raise site.error(error) from None
        return (self.out_channels, *after_windows(shape, site, geometry)[1:])

    def create(self, shape: Shape, site: Site) -> None:
        self.in_channels = shape[0]
        sizes = self.out_channels, self.in_channels // self.groups, *pair(self.kernel_size)
        create_weight_and_bias(self, site, sizes, self.bias, self.weight_init, self.bias_init)

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        return F.conv2d(x, *self.weights.values(), **options)


class Pooling(Layer):
    """What the two kinds of pooling share."""

    apart: ClassVar[bool] = True

    kernel_size: Annotated[Size, Gt(0), Doc("height and width of the window, or one number for both")]
    stride: Annotated[Size | None, Gt(0), Doc("how far the window moves at a time; by default its size")] = None
    padding: Annotated[Size, Ge(0), Doc("margin around the image, at most half the window")] = 0

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        try:
            geometry = pooling_geometry(self.kernel_size, self.stride, self.padding)
        except ValueError as error:
            raise site.error(error) from None
        return after_windows(shape, site, geometry)


class MaxPool2d(Pooling):
    """The largest element of each window."""

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.max_pool2d(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(Pooling):
    """The mean of each window."""

    count_include_pad: Annotated[bool, Doc("whether the margin counts, as zeros")] = True

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        options = {"stride": self.stride, "padding": self.padding, "count_include_pad": self.count_include_pad}
        return F.avg_pool2d(x, kernel_size=self.kernel_size, **options)


class GlobalAvgPool2d(Layer):
    """The mean of each channel: (C, H, W) to (C,)."""

    apart: ClassVar[bool] = True

    def shape_after(self, shape: Shape, site: Site) -> Shape:
        return site.axes(shape, *AXES)[:1]

    def forward(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return F.global_avg_pool2d(x)
