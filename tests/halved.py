"""Small networks for images that two processes train together, step by step, for tests that compare with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dlscratch import backend, nn, optim
from dlscratch.autograd import Tensor
from dlscratch.nn.sequential import layers_of

CONV = {"kernel_size": 3, "padding": 1}
BLOCK = {"residual": [{"conv2d": {"out_channels": 6, **CONV}}, "batch_norm2d", "relu"]}
SHAPE = (2, 9, 8)
SIZES = [8, 5, 8, 14, 6, 2, 1, 12]  # odd ones, larger ones and smaller ones than the first

Named = dict[str, np.ndarray]


class Scale(nn.Layer):
    """A layer of one's own: y = weight · x, whose gradient the engine sums over the batch."""

    def create(self, shape: Any, site: Any) -> None:
        self.weights["weight"] = site.parameter("weight", (1,), None, default=nn.initializers.Ones())

    def forward(self, x: Tensor, training: bool, rng: Any) -> Tensor:
        return x * self.weights["weight"]


class Apart(Scale):
    """One that treats each example by itself, as it says, but does not say that it may be halved."""

    apart = True


POOLS = {"max_pool2d": {"kernel_size": 2}}, {"avg_pool2d": {"kernel_size": 2, "padding": 1}}
STRIDES = {"conv2d": {"out_channels": 8, "kernel_size": 3, "stride": 2}}
GROUPS = {"conv2d": {"out_channels": 4, "kernel_size": 3, "groups": 2, "stride": 2, "padding": 2}}
PIXELS = {"conv2d": {"out_channels": 3, "kernel_size": 1}}
NETWORKS: dict[str, tuple[list[Any], int]] = {  # and how many of the layers a second process helps with
    "padding and pooling": (["conv", "relu", POOLS[0], "conv", "gelu", POOLS[1], "flatten"], 7),
    "strides and groups": ([STRIDES, "tanh", GROUPS, "flatten", "linear"], 4),
    "kernels of one pixel": (["conv", PIXELS, "silu", "global_avg_pool2d"], 4),
    "batch norm": (["conv", "batch_norm2d", "relu", "conv", "batch_norm2d", "relu", "flatten", "linear"], 7),
    "batch norm of rows": (["conv", "relu", "global_avg_pool2d", "batch_norm1d", "sigmoid", "linear", "relu"], 5),
    "residual": (["conv", BLOCK, BLOCK, {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}}, "flatten"], 5),
    "dropout": (["conv", {"dropout": {"p": 0.3}}, "relu", "flatten", "dropout", "linear", "dropout"], 5),
    "softmax": (["conv", {"softmax": {"dim": 1}}, "flatten", "log_softmax"], 4),
    "layer norm of rows": (["conv", "batch_norm2d", "relu", "flatten", "linear", "layer_norm", "relu", "linear"], 4),
    "layer norm of images": (["conv", "batch_norm2d", "conv", "relu", "layer_norm", "flatten", "linear"], 2),
    "layer norm in one shard with all": (["conv", "relu", "layer_norm", "flatten", "linear"], 0),
    "a layer of one's own": (["conv", "batch_norm2d", "relu", Scale, "conv", "batch_norm2d", "flatten", "linear"], 3),
    "one of one's own apart": (["conv", "batch_norm2d", Apart, "relu", "flatten", "linear"], 2),
    "one of one's own first": ([Scale, "conv", "relu", "flatten", "linear"], 0),
    "no convolution": (["flatten", {"linear": {"out_features": 30}}, "batch_norm1d", "relu", "linear"], 0),
}
SHORT = {"conv": {"conv2d": {"out_channels": 6, **CONV}}, "linear": {"linear": {"out_features": 5}}}


def network(layers: list[Any], dtype: str = "float32", shape: tuple[int, ...] = SHAPE) -> nn.Sequential:
    made = [each() if isinstance(each, type) else layers_of([SHORT.get(str(each), each)])[0] for each in layers]
    return nn.Sequential(*made, input_shape=shape, seed=1, dtype=dtype)


@contextmanager
def shared(model: nn.Sequential, threads: int = 2) -> Iterator[None]:
    """A block of data_parallel; one thread: in one process."""
    with backend.limit_threads(threads, blas=1), nn.data_parallel(model):
        yield


def batches(sizes: list[int], dtype: str = "float32", shape: tuple[int, ...] = SHAPE) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.standard_normal((size, *shape)).astype(dtype) for size in sizes]


def step(model: nn.Sequential, x: np.ndarray, optimizer: Any, rng: np.random.Generator | None = None) -> Named:
    """Output and gradients of a step."""
    optimizer.zero_grad()
    y = model(x, training=True, rng=rng)
    y.backward(np.cos(np.arange(y.size).reshape(y.shape)).astype(x.dtype))
    gradients = {name: p.grad for name, p in model.named_parameters().items()}
    optimizer.step()
    return {"y": y.numpy(), **gradients}


def trained(
    model: nn.Sequential, threads: int, sizes: list[int] = SIZES, dtype: str = "float32", adam: bool = False
) -> list[Named]:
    """All that some steps give, and the state after them."""
    parameters = model.named_parameters()
    optimizer = optim.Adam(parameters, lr=0.01) if adam else optim.SGD(parameters, lr=0.01, momentum=0.9)
    rng = np.random.default_rng(3)
    with shared(model, threads):
        steps = [step(model, x, optimizer, rng) for x in batches(sizes, dtype)]
    return [*steps, model.state_dict(), {"drawn": rng.random(3)}]


def assert_same(found: list[Named], expected: list[Named]) -> None:
    assert [list(each) for each in found] == [list(each) for each in expected]
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=f"{number}: {name}")
