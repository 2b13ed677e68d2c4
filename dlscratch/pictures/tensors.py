"""Tensors as pictures: histograms of values, weight matrices as heat maps, first-layer filters as a grid."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.pictures.curves import COLOURS, matplotlib, save

BINS = 40
MOST_PIXELS = 1000  # of a heat map, along each side
MOST_FILTERS = 256


@dataclass(frozen=True)
class Histogram:
    """How many finite values lie between each two edges (the last edge included); NaN and infinite ones apart."""

    edges: list[float]
    counts: list[int]
    nan: int
    inf: int

    @property
    def notes(self) -> str:
        """`, NaN 3, Inf 1` where there are any."""
        return "".join(f", {name} {count:,}" for name, count in (("NaN", self.nan), ("Inf", self.inf)) if count)


def histogram(array: Array) -> Histogram:
    """The histogram of a tensor's values: at most BINS bins, fewer of few values, one around a constant."""
    values = np.asarray(array).reshape(-1)
    finite = values[np.isfinite(values)].astype(np.float64)
    nan = int(np.isnan(values).sum())
    if not finite.size:
        return Histogram([], [], nan, values.size - nan)
    low, high = float(finite.min()), float(finite.max())
    bins = min(BINS, 2 * math.isqrt(finite.size))
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        low, high, bins = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2, 1
    edges = np.linspace(low, high, bins + 1)
    if not np.isfinite(edges).all():  # the range is wider than a float64 can say
        edges = np.linspace(low / 2, high / 2, bins + 1) * 2
    edges[-1] = high
    counts = np.histogram(finite, edges)[0]
    return Histogram(edges.tolist(), counts.tolist(), nan, values.size - finite.size - nan)


def histograms(arrays: Mapping[str, Array]) -> dict[str, Histogram]:
    """The histogram of each array of real numbers."""
    return {name: histogram(array) for name, array in arrays.items() if array.dtype.kind in "biuf" and array.size}


def histograms_json(found: Mapping[str, Histogram]) -> dict[str, Any]:
    """The histograms as a document."""
    return {name: asdict(each) for name, each in found.items()}


def histograms_csv(found: Mapping[str, Histogram]) -> str:
    """The histograms as CSV, a line a bin; NaN and Inf have lines of their own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["array", "from", "to", "count"])
    for name, each in found.items():
        for low, high, count in zip(each.edges[:-1], each.edges[1:], each.counts, strict=True):
            writer.writerow([name, low, high, count])
        writer.writerows([name, kind, kind, count] for kind, count in (("nan", each.nan), ("inf", each.inf)) if count)
    return text.getvalue()


def heat_map(array: Array) -> tuple[Array, int, int] | None:
    """A matrix of floats as at most MOST_PIXELS a side, and how many rows and columns a pixel is the mean of."""
    if array.ndim != 2 or array.dtype.kind != "f" or min(array.shape) < 2:
        return None
    down, across = (math.ceil(size / MOST_PIXELS) for size in array.shape)
    if (down, across) == (1, 1):
        return array.astype(np.float64), 1, 1
    rows = np.add.reduceat(array, range(0, array.shape[0], down), axis=0, dtype=np.float64)
    sums = np.add.reduceat(rows, range(0, array.shape[1], across), axis=1)
    heights, widths = (np.diff([*range(0, n, k), n]) for n, k in zip(array.shape, (down, across), strict=True))
    return sums / np.outer(heights, widths), down, across


def draw_histogram(name: str, found: Histogram, file: IO[bytes], kind: str = "png") -> None:
    """A histogram as an image."""
    figure_class, context = matplotlib()
    with context:
        figure = figure_class(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        if found.counts:
            axes.stairs(found.counts, found.edges, fill=True, color=COLOURS[0])
        count = f"{sum(found.counts):,} finite values{found.notes}"
        axes.set(title=f"{_short(name)}: {count}", xlabel="value", ylabel="values in a bin (count)")
        save(figure, file, kind)


def draw_heat_map(name: str, array: Array, file: IO[bytes], kind: str = "png") -> None:
    """A weight matrix as an image: blue below zero, white at zero, red above; grey is not finite."""
    found = heat_map(array)
    assert found is not None
    pixels, down, across = found
    figure_class, context = matplotlib()
    with context:
        figure = figure_class(figsize=(6.4, 4.8), layout="constrained")
        axes = figure.add_subplot()
        axes.set_facecolor("0.6")
        extent = (-0.5, array.shape[1] - 0.5, array.shape[0] - 0.5, -0.5)
        shown = axes.imshow(pixels, "RdBu_r", aspect="auto", extent=extent, interpolation="nearest", **_limits(pixels))
        note = f"; a pixel is the mean of {down}×{across}" if down * across > 1 else ""
        axes.set(title=f"{_short(name)}, {array.shape[0]}×{array.shape[1]}{note}", xlabel="column", ylabel="row")
        figure.colorbar(shown, label="value")
        save(figure, file, kind)


def draw_filters(name: str, filters: Array, file: IO[bytes], kind: str = "png") -> None:
    """Filters (N, H, W) or, of colours, (N, H, W, 3) as a grid, all on one scale around zero."""
    shown = filters[:MOST_FILTERS].astype(np.float64)
    limits, picture = _limits(shown), mosaic(shown)
    if filters.ndim == 4:  # zero is grey
        picture = np.clip(picture / (2 * limits["vmax"]) + 0.5, 0, 1)
    figure_class, context = matplotlib()
    with context:
        figure = figure_class(figsize=(7.2, 6.4), layout="constrained")
        axes = figure.add_subplot(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        image = axes.imshow(np.nan_to_num(picture, nan=1) if filters.ndim == 4 else picture, "RdBu_r", **limits)
        of = f" of {len(filters):,}" if len(filters) > len(shown) else ""
        axes.set(title=f"{_short(name)}: {len(shown)}{of} filters of {'×'.join(map(str, filters.shape[1:3]))} pixels")
        axes.set(xlabel=f"filters 0 to {len(shown) - 1}, line by line (pixels)")
        if filters.ndim == 3:
            figure.colorbar(image, label="weight", shrink=0.8)
        save(figure, file, kind)


def mosaic(filters: Array) -> Array:
    """Filters (N, H, W, …) in a square of lines, with a pixel of NaN between them."""
    count, height, width, *rest = filters.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    picture = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, *rest), np.nan)
    for number, filter in enumerate(filters):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        picture[top : top + height, left : left + width] = filter
    return picture


def _limits(values: Array) -> dict[str, float]:
    """A scale around zero that holds all finite values."""
    finite = values[np.isfinite(values)]
    limit = float(np.abs(finite).max(initial=0)) or 1.0
    return {"vmin": -limit, "vmax": limit}


def _short(name: str, most: int = 40) -> str:
    printable = "".join(c if c.isprintable() else "�" for c in name)
    return printable if len(printable) <= most else f"{printable[: most - 1]}…"
