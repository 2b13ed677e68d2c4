"""Two programs in turns: what every benchmark here has in common.

A shared machine changes its speed from second to second, so ours and the peer's runs alternate, and only the ratio of
their medians is reported.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable


def in_turns(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of `ours` and of `peer` over `rounds` alternating runs, after one of each that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for run, seconds in zip((ours, peer), times, strict=True):
            start = time.perf_counter()
            run()
            if number:
                seconds.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def report(name: str, ours: float, peer: float, unit: str = "ms") -> float:
    """Print one case; the ratio is the peer's time over ours, above 1 where we are faster."""
    scale = {"s": 1.0, "ms": 1e3}[unit]
    print(
        f"{name:40s} ours {ours * scale:9.3f} {unit}   peer {peer * scale:9.3f} {unit}   {peer / ours:5.2f}", flush=True
    )
    return peer / ours


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean to take of ratios."""
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


def last_line(ratios: Iterable[float]) -> None:
    """The line that a script ends with."""
    print(f"ratio: {geometric_mean(ratios):.2f}")
