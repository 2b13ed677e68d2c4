"""Functions that NumPy does not have: the logistic function without overflow, the normal distribution function."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from dlscratch.backend import Array

DEGREES = {"float32": 9, "float64": 26}  # where the error falls below the dtype's own rounding
FAR = 26.5  # erfc(26.5) is among the last that float64 can hold
LEAST = 2 / (2 + FAR)


def logistic(x: Array) -> Any:
    """1 / (1 + exp(−x)), exact to rounding in both tails."""
    z = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, z, 1) / (1 + z)


def normal_cdf(x: Array) -> Array:
    """Φ(x) = ½ erfc(−x/√2), to the rounding of x's dtype; in the lower tail relative to Φ itself.

    For z ≥ 0, erfc(z) = t · exp(p(t) − z²) with t = 2 / (2 + z) and a polynomial p: the form of Numerical Recipes'
    `erfccheb`. Horner's rule runs in place, two passes over memory for each degree.
    """
    z = np.minimum(np.abs(x) * math.sqrt(0.5), FAR)
    t = 2 / (2 + z)
    u = _centred(t)
    first, *others = _coefficients(DEGREES["float64" if x.dtype == np.float64 else "float32"])
    p = np.full_like(u, first)
    for coefficient in others:
        p *= u
        p += coefficient
    p -= z * z
    half = 0.5 * t * np.exp(p)
    return np.where(x < 0, half, 1 - half)


def _centred(t: Array) -> Array:
    """[LEAST, 1] → [−1, 1]: where Chebyshev polynomials live, and Horner's rule loses least."""
    return t * (2 / (1 - LEAST)) - (1 + LEAST) / (1 - LEAST)


@functools.cache
def _coefficients(degree: int) -> list[float]:
    """p's coefficients, highest power first, interpolated through values of math.erfc."""

    def p(u: Any) -> Any:
        ts = LEAST + (u + 1) * (1 - LEAST) / 2
        return np.array([math.log(math.erfc(2 / t - 2) / t) + (2 / t - 2) ** 2 for t in ts])

    return [float(c) for c in chebyshev.cheb2poly(chebyshev.chebinterpolate(p, degree))[::-1]]
