"""Batch and layer normalization: (x − mean) / √(var + eps) · weight + bias, with the gradients in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlscratch.autograd import op, sample
from dlscratch.backend import Array

GIVEN: Any = {"mean": np.array([0.1, -0.2, 0.3]), "var": np.array([0.5, 1.0, 2.0])}


@op(
    sample((5, 3), (3,), (3,)),
    sample((2, 3, 2, 4), (3,), (3,), eps=0.1),
    sample((4, 3, 2)),
    sample((4, 3, 2), (3,), (3,), **GIVEN),
)
def batch_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    mean: Array | None = None,
    var: Array | None = None,
    eps: float = 1e-5,
    seen: dict[str, Array] | None = None,
) -> Any:
    """Normalize each channel of x (N, C, ...) with a given mean and variance (C,), or with the batch's own.

    In the second case the gradient flows through mean and variance, too, and the dict `seen` receives them
    (variance: biased) as "mean" and "var". Ioffe and Szegedy, 2015.
    """
    if x.ndim < 2:
        raise ValueError("expected x of shape (N, C, ...)")
    own, n = mean is None or var is None, x.size // max(x.shape[1], 1)
    if own and n < 2:
        raise ValueError(f"needs more than one value a channel in training, got {n}; use a batch of at least 2")
    column = (-1,) + (1,) * (x.ndim - 2)  # (C,) against (N, C, ...)
    mean = per_channel(x) / n if mean is None or own else mean.astype(x.dtype)
    z = x - mean.reshape(column)
    var = per_channel(z, z) / n if var is None or own else var.astype(x.dtype)
    if seen is not None:
        seen.update(mean=mean, var=var)
    scale = 1 / np.sqrt(var + eps)
    z *= scale.reshape(column)
    gain = scale if weight is None else scale * weight
    y = z * weight.reshape(column) if weight is not None else z if bias is None else z.copy()
    if bias is not None:
        y += bias.reshape(column)

    def dx(g: Array) -> Any:
        if not own:
            return g * gain.reshape(column)
        slope = per_channel(g, z) / n
        total = z * (-slope).reshape(column)
        total += g
        total -= (per_channel(g) / n).reshape(column)
        total *= gain.reshape(column)
        return total

    return y, dx, lambda g: per_channel(g, z), per_channel


def per_channel(x: Array, y: Array | None = None) -> Any:
    """Σ x or Σ x · y over all axes but the second."""
    x = x.reshape(*x.shape[:2], -1)
    if y is None:
        return np.sum(np.sum(x, 2), 0)
    return np.einsum("ncm,ncm->c", x, y.reshape(x.shape))


@op(sample((5, 3), (3,), (3,)), sample((2, 3, 4), (3, 4), axes=2, eps=0.1), sample((2, 3, 4)))
def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, axes: int = 1, eps: float = 1e-5
) -> Any:
    """Normalize x over its last `axes` axes, whose sizes weight and bias have. Ba, Kiros and Hinton, 2016."""
    last = tuple(range(-axes, 0))
    if any(p is not None and p.shape != x.shape[-axes:] for p in (weight, bias)):
        raise ValueError(f"expected weight and bias of shape {x.shape[-axes:]}, the last axes of x")
    z = x - np.mean(x, last, keepdims=True)
    scale = 1 / np.sqrt(np.mean(z * z, last, keepdims=True) + eps)
    z *= scale
    y = z * weight if weight is not None else z if bias is None else z.copy()
    if bias is not None:
        y += bias

    def dx(g: Array) -> Any:
        g = g if weight is None else g * weight
        return scale * (g - np.mean(g, last, keepdims=True) - z * np.mean(g * z, last, keepdims=True))

    return y, dx, lambda g: g * z, lambda g: g
