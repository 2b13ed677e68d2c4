"""Programs in turns: what every benchmark here has in common.

A shared machine changes its speed from second to second, so ours and the peer's runs alternate, and only the ratio of
their medians is reported.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

SETTLE = 0.1  # seconds of work that do not count, while the other side's threads stop spinning


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


class Worker:
    """One side in a process of its own, waiting for its turns: in one process, each side's idle threads would spin on
    the cores that the other needs.

    The script is called with `arguments`; it calls `serve`.
    """

    def __init__(self, *arguments: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, *arguments], stdin=pipe, stdout=pipe, text=True)
        self.facts = self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def turn(self) -> float:
        """Seconds of one turn."""
        assert self.process.stdin is not None
        print("go", file=self.process.stdin, flush=True)
        return float(self._answer())

    def end(self) -> None:
        """Let the process end."""
        self.process.communicate()


def serve(facts: Any, work: Callable[[], object]) -> None:
    """A worker's main loop: tell the facts, then at each turn work without and with the clock."""
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        while time.perf_counter() - start < SETTLE:
            work()
        start = time.perf_counter()
        work()
        print(time.perf_counter() - start, flush=True)


def workers_in_turns(workers: Sequence[Worker], rounds: int) -> list[float]:
    """Median seconds of each one's turn, over `rounds` rounds."""
    times = [[worker.turn() for worker in workers] for _ in range(rounds)]
    for worker in workers:
        worker.end()
    return [statistics.median(each) for each in zip(*times, strict=True)]


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


def last_line(ratios: Iterable[float], name: str = "ratio") -> None:
    """The line that a script ends with."""
    print(f"{name}: {geometric_mean(ratios):.2f}")
