"""Gradient clipping, by norm and by value; and the norm itself, which also tells whether all gradients are finite."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from dlscratch.autograd import Tensor
from dlscratch.backend import Array

DOT = 8192  # elements in one dot product: BLAS computes it on one thread, so the sum has the same bits for any number


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by max_norm / (norm + 1e-6) if that is below 1; the norm before, over all of them together.

    As PyTorch's function of this name, but each `grad` is replaced by a new array: others may hold the old one.
    """
    parameters = list(parameters)
    norm = gradient_norm(parameters)
    scale_gradients(parameters, max_norm / (norm + 1e-6))
    return norm


def scale_gradients(parameters: Iterable[Tensor], factor: float) -> None:
    """Multiply all gradients by a factor below 1; one that is not below 1 (or NaN) changes nothing."""
    if factor < 1:
        for tensor in parameters:
            tensor.grad = None if tensor.grad is None else tensor.grad * factor


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Hold every element of every gradient between −clip_value and clip_value, in new arrays."""
    for tensor in parameters:
        tensor.grad = None if tensor.grad is None else np.clip(tensor.grad, -clip_value, clip_value)


def gradient_norm(parameters: Iterable[Tensor]) -> float:
    """The Euclidean norm √Σg² over all gradients together; NaN or infinite if, and only if, an element is."""
    return math.sqrt(math.fsum(sum_of_squares(x.grad) for x in parameters if x.grad is not None))


def sum_of_squares(x: Array) -> float:
    """Σx², the parts added in float64; where float32 overflows or vanishes, all of it is computed in float64."""
    flat = x.ravel("K")  # in the order of its memory: no copy is made
    total = 0.0
    for start in range(0, flat.size, DOT):
        part = flat[start : start + DOT]
        total += float(part.dot(part))
    if x.dtype.itemsize < 8 and not 1e-30 < total < math.inf:
        total = float(np.sum(np.square(flat, dtype=np.float64)))
    return total
