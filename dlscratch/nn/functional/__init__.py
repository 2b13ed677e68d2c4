"""The ops that only networks need, on tensors or arrays; layers and losses are made of them."""

from dlscratch.nn.functional.activations import (
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from dlscratch.nn.functional.convolution import conv2d
from dlscratch.nn.functional.dense import dropout, embedding, linear
from dlscratch.nn.functional.losses import binary_cross_entropy_with_logits, cross_entropy, huber, l1, mse, nll
from dlscratch.nn.functional.normalization import batch_norm, layer_norm
from dlscratch.nn.functional.pooling import avg_pool2d, global_avg_pool2d, max_pool2d

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "global_avg_pool2d",
    "huber",
    "l1",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse",
    "nll",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
]
