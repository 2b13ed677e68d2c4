"""Scaling of numbers as (x - shift) / divisor, whatever it is called."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dlscratch.backend import Array

Scale = Literal["standard", "minmax", "none", "ids"] | float


def shift_and_divisor(scale: Scale, mean: Array, variance: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The scaling that `scale` asks for, elementwise; what is constant becomes 0 and is never divided by 0.

    standard: mean 0 and variance 1 (of the population, as scikit-learn's StandardScaler); minmax: 0 to 1;
    a number: divided by it; none: unchanged.
    """
    if scale == "standard":
        return _without_zero(low, high, mean, np.sqrt(variance))
    if scale == "minmax":
        return _without_zero(low, high, low, high - low)
    divisor = 1.0 if scale == "none" else float(scale)
    return np.zeros_like(mean), np.full_like(mean, divisor)


def median(values: Array) -> float:
    """The median of some numbers (N,), N > 0, none of them NaN: as np.median, which imports numpy.ma (20 ms)."""
    middle = [(len(values) - 1) // 2, len(values) // 2]
    return float(np.partition(values, middle)[middle].mean())


def _without_zero(low: Array, high: Array, shift: Array, divisor: Array) -> tuple[Array, Array]:
    # Rounding gives a constant such as 0.1 a tiny variance: only low == high tells for sure.
    constant = (low == high) | (divisor == 0)
    return np.where(constant, low, shift), np.where(constant, 1.0, divisor)
