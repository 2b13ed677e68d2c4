"""Do two sets of runs differ by more than their seeds explain: Welch's t-test for each metric, corrected by Holm.

Welch's test compares two means without assuming that both sets scatter alike (Welch 1947, "The generalization of
Student's problem when several different population variances are involved"). With many metrics one of them soon seems
to differ by chance; Holm's step-down keeps the probability of any false alarm below ALPHA ("A simple sequentially
rejective multiple test procedure", 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

ALPHA = 0.05
TINY = 1e-300  # in the place of a zero that would be divided by
PRECISION = 1e-15
MOST_TERMS = 10_000


@dataclass(frozen=True)
class Sample:
    """A metric over seeds: its mean, its standard deviation (over n − 1), and of how many runs."""

    mean: float
    std: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        """The sample of two values or more."""
        return cls(fmean(values), stdev(values), len(values))


@dataclass(frozen=True)
class MetricTest:
    """Welch's t and degrees of freedom, the two-sided p, the same after Holm's correction, and what it says."""

    metric: str
    a: Sample
    b: Sample
    t: float
    degrees: float
    p: float
    corrected: float

    @property
    def differs(self) -> bool:
        """Whether the difference is beyond the noise."""
        return self.corrected < ALPHA


def compare_seeds(a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]]) -> list[MetricTest]:
    """A test for each metric that both have, in a's order; each needs two values or more in both."""
    both = {name: (Sample.of(a[name]), Sample.of(b[name])) for name in a if name in b}
    results = {name: welch(*pair) for name, pair in both.items()}
    corrected = holm({name: p for name, (_, _, p) in results.items()})
    return [MetricTest(name, *both[name], *results[name], corrected[name]) for name in results]


def welch(a: Sample, b: Sample) -> tuple[float, float, float]:
    """Welch's t of a − b, its degrees of freedom, and the two-sided p; where nothing scatters, p is 1 or 0."""
    x, y = a.std**2 / a.runs, b.std**2 / b.runs
    difference = a.mean - b.mean
    if x + y == 0:
        return (math.copysign(math.inf, difference), math.inf, 0.0) if difference else (0.0, math.inf, 1.0)
    t = difference / math.sqrt(x + y)
    degrees = (x + y) ** 2 / (x**2 / (a.runs - 1) + y**2 / (b.runs - 1))
    return t, degrees, student(t, degrees)


def student(t: float, degrees: float) -> float:
    """The probability that |T| is at least |t| for Student's T."""
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Each p times the number of those that are not smaller, and never below a smaller one's."""
    corrected, largest = {}, 0.0
    for place, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, min(1.0, (len(p) - place) * p[name]))
        corrected[name] = largest
    return corrected


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below
        return 1 - incomplete_beta(b, a, 1 - x)
    factor = math.exp(a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    return factor / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """1 / (1 + d₁ / (1 + d₂ / (1 + …))), by Lentz's method: front to end, as products of two ratios."""
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or TINY)
    value = d
    for m in range(1, MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or TINY)
            c = (1 + term / c) or TINY
            value *= c * d
        if abs(c * d - 1) < PRECISION:
            break
    return value
