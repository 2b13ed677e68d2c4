"""How the cost of a training step grows with batch, width and depth of a network, up to the memory there is.

    pip install '.[plot]' && python benchmarks/growth.py

Networks of equal linear layers with ReLU, SGD with momentum; batch × width × depth. One of them grows twofold while the
others stay, until the step would need more than `--limit` gigabytes. The time of a step should be a straight line in
its multiplications: the line is fitted so that each time counts by its ratio to it; R² is that of the logarithms. The
points and lines go to growth.json, a plot to growth.svg.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from steps import Ours

from dlscratch import backend, blas, nn
from dlscratch.checkpoint import atomic_write, write_text
from dlscratch.nn.sequential import multiplications
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.figures import image
from dlscratch.runs.folder import environment

TITLE = "How the time of a training step grows"
CLASSES, INIT = 10, "kaiming_normal"
LEAST_SECONDS, LEAST_STEPS = 0.2, 3  # of a point


@dataclass(frozen=True)
class Sizes:
    """A step: so many rows through `depth` layers of `width` outputs."""

    batch: int = 64
    width: int = 256
    depth: int = 4

    @property
    def bytes(self) -> int:
        """About what it needs: parameters, gradients and momentum; what layers give, and a few of their gradients."""
        parameters = self.depth * self.width**2
        return 4 * (3 * parameters + self.batch * self.width * (2 * self.depth + 4))

    def model(self) -> nn.Sequential:
        """The network, whose numbers keep their size from layer to layer: tiny ones (denormal) would be slow."""
        pairs = [(nn.Linear(self.width, self.width, weight_init=INIT), nn.ReLU()) for _ in range(self.depth)]
        return nn.Sequential(*itertools.chain(*pairs), nn.Linear(self.width, CLASSES), input_shape=self.width)


START = {"batch": 16, "width": 64, "depth": 2}  # of the size that grows; the others are those of Sizes()


@dataclass(frozen=True)
class Point:
    """The median time of a step, and its multiplications: forward, for the weights' gradients, and the inputs'."""

    grows: str
    sizes: Sizes
    multiplications: int
    seconds: float


@dataclass(frozen=True)
class Line:
    """seconds = start + slope · multiplications."""

    start: float
    slope: float
    r2: float

    @classmethod
    def through(cls, points: list[Point]) -> Line:
        """The line with the least squares of (time − line) / time."""
        x, t = (np.array(each, float) for each in zip(*((p.multiplications, p.seconds) for p in points), strict=True))
        start, slope = np.linalg.lstsq(np.stack([1 / t, x / t], axis=1), np.ones_like(t), rcond=None)[0]
        errors = np.log(t / np.maximum(start + slope * x, 1e-12))
        return cls(float(start), float(slope), float(1 - np.mean(errors**2) / np.var(np.log(t))))

    @property
    def gflops(self) -> float:
        """A multiplication and an addition are two operations."""
        return 2e-9 / self.slope


def measure(grows: str, sizes: Sizes, threads: int) -> Point:
    """A point, after two steps that do not count."""
    model = sizes.model()
    side, rng = Ours(model, "sgd"), np.random.default_rng(0)
    side.optimizer.lr = 0.0  # or the deepest would diverge
    x, y = rng.standard_normal((sizes.batch, sizes.width), np.float32), rng.integers(0, CLASSES, sizes.batch)
    count = sizes.batch * (3 * multiplications(model) - sizes.width**2)  # the first layer's input wants no gradient
    seconds: list[float] = []
    with backend.limit_threads(threads, nn.blas_threads(model, sizes.batch)):
        side.step(x, y)
        side.step(x, y)
        while len(seconds) < LEAST_STEPS or sum(seconds) < LEAST_SECONDS:
            start = time.perf_counter()
            side.step(x, y)
            seconds.append(time.perf_counter() - start)
    return Point(grows, sizes, count, statistics.median(seconds))


def growing(limit: float) -> Iterator[tuple[str, Sizes]]:
    """Each size in turn, doubled as long as the step fits into `limit` bytes."""
    for name, start in START.items():
        sizes = replace(Sizes(), **{name: start})
        while sizes.bytes <= limit:
            yield name, sizes
            sizes = replace(sizes, **{name: 2 * getattr(sizes, name)})


def least(limit: float, threads: int, rounds: int) -> list[Point]:
    """All points, the shortest of so many rounds: what else the machine does makes them longer."""
    found: dict[tuple[str, Sizes], Point] = {}
    for grows, sizes in [*growing(limit)] * rounds:
        point = measure(grows, sizes, threads)
        found[grows, sizes] = min(point, found.get((grows, sizes), point), key=lambda point: point.seconds)
        shape = f"{grows:6} {sizes.batch:8,} × {sizes.width:6,} × {sizes.depth:5,}"
        print(f"{shape}  {point.multiplications / 1e6:12,.1f} M  {point.seconds * 1e3:10.3f} ms", flush=True)
    return list(found.values())


def draw(points: list[Point], lines: dict[str, Line]) -> bytes:
    """The points and lines, as SVG."""

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        for (name, line), colour, marker in zip(lines.items(), COLOURS, "os^", strict=False):
            own = [(point.multiplications, point.seconds) for point in points if point.grows == name]
            x, t = np.array(own).T
            many = np.geomspace(x.min(), x.max(), 50)
            axes.plot(many / 1e6, (line.start + line.slope * many) * 1e3, color=colour, linewidth=1)
            label = f"{name}: {line.gflops:.0f} GFLOP/s, R² {line.r2:.3f}"
            axes.plot(x / 1e6, t * 1e3, marker, color=colour, label=label)
        axes.set(title=TITLE, xlabel="multiplications in a step (millions)", ylabel="time of a step (ms)")
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.grid(alpha=0.3)
        axes.legend(title="what grows")

    return image("svg", (7.2, 4.8), TITLE, paint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    parser.add_argument("--limit", type=float, default=free / 2, help="gigabytes for a step; half of what is free")
    parser.add_argument("--rounds", type=int, default=2, help="of which the shortest times count")
    parser.add_argument("--threads", type=int, default=backend.cpu_count())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of growth.json and growth.svg")
    options = parser.parse_args()
    print(f"{options.threads} threads; {blas.description()}; up to {options.limit:.1f} GB", flush=True)
    points = least(options.limit * 1e9, options.threads, options.rounds)
    lines = {name: Line.through([p for p in points if p.grows == name]) for name in START}
    for name, line in lines.items():
        print(f"{name}: {line.gflops:.1f} GFLOP/s after {line.start * 1e3:.3f} ms, R² {line.r2:.4f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"peak memory: {peak:.2f} GB")
    document = {
        **environment(), "threads": options.threads, "limit_gigabytes": options.limit, "peak_gigabytes": peak,
        "lines": {name: {**asdict(line), "gflops": line.gflops} for name, line in lines.items()},
        "points": [asdict(point) for point in points],
    }  # fmt: skip
    write_text(options.out / "growth.json", json.dumps(document, indent=1) + "\n")
    with atomic_write(options.out / "growth.svg") as file:
        file.write(draw(points, lines))


if __name__ == "__main__":
    main()
