"""Activations: σ, relu and its smooth relatives, softmax. Rules keep what the forward pass computed anyway."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array
from dlscratch.crew import even_parts
from dlscratch.nn.functional.special import logistic, normal_cdf

NEAR = 2**16  # numbers that stay in a cache, together with as many others, from one call to the next
ROWS = sample((3, 4))
TAILS = sample((3, 4), low=-30, high=30)


@op(ROWS, TAILS)
def sigmoid(x: Array) -> Any:
    """1 / (1 + exp(−x)), exact to rounding in both tails."""
    return (y := logistic(x)), lambda g: g * (y * (1 - y))


@op(ROWS)
def relu(x: Array, *, overwrite: bool = False) -> Any:
    """max(x, 0); the gradient at 0 is 0. `overwrite`: in x's memory, where x is the result of an op that does not need
    it for its gradient, and nobody else does.
    """
    y = np.maximum(x, 0, out=x if overwrite else None)

    def dx(g: Array) -> Array:
        """g where y > 0; a large one in parts, which are written, read and written again while they are near."""
        if g.size <= NEAR:
            return np.multiply(y > 0, g)
        d = np.empty_like(g)
        D, Y, G = (each.T if g.flags.fnc else each for each in (d, y, g))  # so that a part lies in one stretch
        for part in even_parts(len(G), G.size // len(G), NEAR):
            D[part] = Y[part] > 0
            D[part] *= G[part]
        return d

    return y, dx


@op(ROWS, sample((3, 4), negative_slope=0.3))
def leaky_relu(x: Array, *, negative_slope: float = 0.01) -> Any:
    """x where x > 0, negative_slope · x elsewhere."""
    slope = np.where(x > 0, np.ones_like(x), negative_slope)
    return x * slope, lambda g: g * slope


@op(ROWS, TAILS, sample((3, 4), approximate="tanh"))
def gelu(x: Array, *, approximate: Literal["none", "tanh"] = "none") -> Any:
    """x · Φ(x), with Φ the normal distribution function; or its approximation by tanh (Hendrycks and Gimpel, 2016)."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is {approximate!r}; expected "none" or "tanh"')
    return _gelu(x) if approximate == "none" else _gelu_tanh(x)


def _gelu(x: Array) -> Any:
    cdf = normal_cdf(x)

    def dx(g: Array) -> Array:
        return g * (cdf + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi)))

    return x * cdf, dx


def _gelu_tanh(x: Array) -> Any:
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * x * (1 + 0.044715 * x * x))

    def dx(g: Array) -> Any:
        return g * (0.5 * (1 + t) + (0.5 * c) * x * (1 - t * t) * (1 + 3 * 0.044715 * x * x))

    return 0.5 * x * (1 + t), dx


@op(ROWS, TAILS)
def silu(x: Array) -> Any:
    """x · σ(x), also called swish."""
    s = logistic(x)
    y = x * s
    return y, lambda g: g * (s + y * (1 - s))


@op(ROWS, TAILS, sample((3, 4), beta=2.0))
def softplus(x: Array, *, beta: float = 1.0) -> Any:
    """log(1 + exp(beta · x)) / beta, without overflow."""
    x = beta * x
    return np.logaddexp(x, x.dtype.type(0)) / beta, lambda g: g * logistic(x)


@op(ROWS, sample((2, 3, 4), axis=1))
def softmax(x: Array, *, axis: int = -1) -> Any:
    """exp(x) / Σ exp(x) along an axis."""
    y = np.exp(x - np.max(x, axis, keepdims=True))
    y /= np.sum(y, axis, keepdims=True)
    return y, lambda g: y * (g - np.sum(g * y, axis, keepdims=True))


@op(ROWS, sample((2, 3, 4), axis=1))
def log_softmax(x: Array, *, axis: int = -1) -> Any:
    """x − log Σ exp(x) along an axis."""
    y = x - np.max(x, axis, keepdims=True)
    y -= np.log(np.sum(np.exp(y), axis, keepdims=True))
    return y, lambda g: g - np.exp(y) * np.sum(g, axis, keepdims=True)
