"""Axes: from numbers to places, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Axis:
    """A range of numbers, low to high, drawn from `start` to `end`; `log` spaces them by their logarithm.

    `whole` is for epochs and counts, which have no fractions: the axis begins and ends at whole numbers.
    """

    low: float
    high: float
    start: float = 0.0
    end: float = 1.0
    log: bool = False
    whole: bool = False

    @classmethod
    def around(
        cls,
        values: Iterable[float | None],
        start: float = 0.0,
        end: float = 1.0,
        *,
        log: bool = False,
        whole: bool = False,
        margin: float = 0.0,
        most: float = math.inf,
    ) -> Axis:
        """The axis that shows all finite values (for `log`: the positive ones), and a margin, a part of the range.

        It does not go beyond `most`, the best that there is.
        """
        shown = [x for x in values if x is not None and math.isfinite(x) and (x > 0 or not log)]
        low, high = (min(shown), max(shown)) if shown else (0.0, 1.0) if not log else (0.1, 1.0)
        if log:
            low, high = (low, high) if high > low else (low / 2, high * 2)
            return cls(low, high, start, end, log)
        low, high = (math.floor(low), math.ceil(high)) if whole else (low, high)
        if high - low <= 1e-12 * max(abs(low), abs(high)):
            half = 0.5 if whole else (abs(low) or 1) / 2
            low, high = low - half, high + half
        room = margin * (high - low)
        return cls(low - room, max(low, min(high + room, most)), start, end, whole=whole)

    def __call__(self, value: float | None) -> float | None:
        """The place of a value; None for what cannot be drawn."""
        if value is None or not math.isfinite(value) or (self.log and value <= 0):
            return None
        low, high, x = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (x - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers on the axis, at most so many (and at least one)."""
        if self.log:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            if len(powers) >= 2:
                return [10.0**power for power in powers][:: math.ceil(len(powers) / most)]
        step = max(round_step((self.high - self.low) / max(1, most - 1)), 1 if self.whole else 0)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{number * step:.12g}") for number in range(first, last + 1)] or [self.low]


def round_step(least: float) -> float:
    """The smallest of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


def tick_name(value: float) -> str:
    """A short name: 0.25, 1500, 20k, 1.5M, 1e-05."""
    fits = 10_000 <= abs(value) < 1e12
    size, letter = next((each for each in SIZES if fits and abs(value) >= each[0]), (1, ""))
    return f"{value / size:.6g}{letter}".replace("-", "−")
