"""Axes: from numbers to places, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
MOST, LEAST = 1e300, 1e-300  # of a number that is drawn, and of a range or a logarithm's number: so nothing overflows
ALIKE = 1e-10  # relative; a narrower range is as good as none


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
        """The axis that shows all that can be drawn (for `log`: positive values), and a margin, a part of the range.

        The margin does not go beyond `most`, the best that there is.
        """
        shown = [x for x in values if x is not None and _drawn(x, log)]
        low, high = (min(shown), max(shown)) if shown else (0.0, 1.0) if not log else (0.1, 1.0)
        most = max(most, high)
        if log:
            low, high = (low, high) if high > low else (low / 2, high * 2)
            return cls(low, high, start, end, log)
        low, high = (math.floor(low), math.ceil(high)) if whole else (low, high)
        size = max(abs(low), abs(high))
        if high - low <= max(LEAST, ALIKE * size):
            half = max(0.5, ALIKE * size) if whole or size <= LEAST else size / 2
            low, high = low - half, high + half
        room = margin * (high - low)
        return cls(low - room, min(high + room, most), start, end, whole=whole)

    def __call__(self, value: float | None) -> float | None:
        """The place of a value; None for what cannot be drawn."""
        if value is None or not _drawn(value, self.log):
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


def _drawn(value: float, log: bool) -> bool:
    return LEAST <= value <= MOST if log else abs(value) <= MOST


def round_step(least: float) -> float:
    """The smallest of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


def tick_name(value: float) -> str:
    """A short name: 0.25, 1500, 20k, 1.5M, 1e-05."""
    fits = 10_000 <= abs(value) < 1e12
    size, letter = next((each for each in SIZES if fits and abs(value) >= each[0]), (1, ""))
    return f"{value / size:.6g}{letter}".replace("-", "−")
