"""The kinds of layers, and LAYERS, which gives them the names that configs and checkpoints use."""

from dlscratch.nn.layers.activations import (
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from dlscratch.nn.layers.base import Layer
from dlscratch.nn.layers.dense import Dropout, Embedding, Linear
from dlscratch.nn.layers.images import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d
from dlscratch.nn.layers.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from dlscratch.nn.layers.shapes import Flatten, Reshape
from dlscratch.nn.layers.site import Site
from dlscratch.nn.sequential import Residual, Sequential

LAYERS: dict[str, type[Layer]] = {
    "linear": Linear,
    "conv2d": Conv2d,
    "max_pool2d": MaxPool2d,
    "avg_pool2d": AvgPool2d,
    "global_avg_pool2d": GlobalAvgPool2d,
    "flatten": Flatten,
    "reshape": Reshape,
    "embedding": Embedding,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "gelu": GELU,
    "silu": SiLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softplus": Softplus,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
    "dropout": Dropout,
    "batch_norm1d": BatchNorm1d,
    "batch_norm2d": BatchNorm2d,
    "layer_norm": LayerNorm,
    "residual": Residual,
    "sequential": Sequential,
}
for _kind, _layer in LAYERS.items():
    _layer.kind = _kind

__all__ = [
    "GELU",
    "LAYERS",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2d",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Site",
    "Softmax",
    "Softplus",
    "Tanh",
]
