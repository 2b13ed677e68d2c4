"""Tensors as pictures: histograms of values, weight matrices as heat maps, first-layer filters as a grid."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.figures import drawable, image
from dlscratch.pictures.text import counted, cut, times

BINS = 40
MOST_PIXELS = 1000  # of a heat map, along each side
MOST_FILTERS = 256
LONGEST_NAME = 40  # letters of an array's name in a title


@dataclass(frozen=True)
class Histogram:
    """How many finite values lie between each two edges (the last edge included); NaN and infinite ones apart."""

    edges: list[float]
    counts: list[int]
    nan: int
    inf: int

    @property
    def title(self) -> str:
        """`640 finite values, NaN 3, Inf 1`: the last two where there are any."""
        others = {"NaN": self.nan, "Inf": self.inf}
        notes = (f", {name} {count:,}" for name, count in others.items() if count)
        return "".join([counted(sum(self.counts), "finite value"), *notes])


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
    lines: list[list[object]] = []
    for name, each in found.items():
        bins = zip(each.edges[:-1], each.edges[1:], each.counts, strict=True)
        lines += [[name, low, high, count] for low, high, count in bins]
        lines += [[name, kind, kind, count] for kind, count in (("nan", each.nan), ("inf", each.inf)) if count]
    return _table(["array", "from", "to", "count"], lines)


@dataclass(frozen=True)
class HeatMap:
    """A matrix of `shape` as pixels, each the mean of `down` rows and `across` columns."""

    shape: tuple[int, ...]
    pixels: Array
    down: int
    across: int

    def csv(self) -> str:
        """The pixels as CSV: a line for each of their rows, after the number of its first row in the matrix."""
        rows, columns = range(0, self.shape[0], self.down), range(0, self.shape[1], self.across)
        lines = zip(rows, self.pixels.tolist(), strict=True)
        return _table(["row", *columns], ([row, *map(_figure, values)] for row, values in lines))


def heat_map(array: Array) -> HeatMap | None:
    """The heat map of a matrix of floats, of at most MOST_PIXELS a side; None for other arrays."""
    if array.ndim != 2 or array.dtype.kind != "f" or min(array.shape) < 2:
        return None
    down, across = (math.ceil(size / MOST_PIXELS) for size in array.shape)
    rows = np.add.reduceat(array, range(0, array.shape[0], down), axis=0, dtype=np.float64)
    sums = np.add.reduceat(rows, range(0, array.shape[1], across), axis=1)
    heights, widths = (np.diff([*range(0, n, k), n]) for n, k in zip(array.shape, (down, across), strict=True))
    return HeatMap(array.shape, sums / np.outer(heights, widths), down, across)


def filters_csv(filters: Array) -> str:
    """The filters that `draw_filters` shows as CSV, a line a pixel."""
    shown = filters[:MOST_FILTERS]
    channels = ["weight"] if filters.ndim == 3 else ["red", "green", "blue"]
    pixels = shown.reshape(-1, len(channels)).tolist()
    places = np.ndindex(shown.shape[:3])
    lines = ([*place, *map(_figure, values)] for place, values in zip(places, pixels, strict=True))
    return _table(["filter", "row", "column", *channels], lines)


def _table(columns: Iterable[object], lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()


def _figure(value: float) -> str:
    """Nine digits: a float32 reads back exactly."""
    return f"{value:.9g}"


def draw_histogram(name: str, found: Histogram, kind: str = "png") -> bytes:
    """A histogram as an image."""
    title = f"{_short(name)}: {found.title}"

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(title=title, xlabel="value", ylabel="values in a bin (count)")
        if found.counts:
            axes.stairs(found.counts, found.edges, fill=True, color=COLOURS[0])

    return image(kind, (6.4, 4.0), title, paint)


def draw_heat_map(name: str, found: HeatMap, kind: str = "png") -> bytes:
    """A weight matrix as an image: blue below zero, white at zero, red above; grey is not finite."""
    height, width = found.shape
    note = f"; a pixel is the mean of {found.down}×{found.across}" if found.down * found.across > 1 else ""
    title = f"{_short(name)}, {times(found.shape)}{note}"
    place = {"aspect": "auto", "extent": (-0.5, width - 0.5, height - 0.5, -0.5), "interpolation": "nearest"}

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(title=title, xlabel="column", ylabel="row", facecolor="0.6")
        shown = axes.imshow(found.pixels, "RdBu_r", **place, **_limits(found.pixels))
        figure.colorbar(shown, label="value")

    return image(kind, (6.4, 4.8), title, paint)


def draw_filters(name: str, filters: Array, kind: str = "png") -> bytes:
    """Filters (N, H, W) or, of colours, (N, H, W, 3) as a grid, all on one scale around zero."""
    shown = filters[:MOST_FILTERS].astype(np.float64)
    limits, picture = _limits(shown), mosaic(shown)
    of = f" of {len(filters):,}" if len(filters) > len(shown) else ""
    title = f"{_short(name)}: {len(shown)}{of} filters of {times(filters.shape[1:3])} pixels"
    if filters.ndim == 4:  # zero is grey, and what is between the filters white
        picture = np.nan_to_num(np.clip(picture / (2 * limits["vmax"]) + 0.5, 0, 1), nan=1)

    def paint(figure: Any) -> None:
        """The mosaic without ticks; with a bar of its colours where these stand for weights."""
        axes = figure.add_subplot(title=title, xticks=[], yticks=[])
        axes.set(xlabel=f"filters 0 to {len(shown) - 1}, line by line (pixels)")
        axes.spines[:].set_visible(False)
        grid = axes.imshow(picture, "RdBu_r", **limits)
        if filters.ndim == 3:
            figure.colorbar(grid, label="weight", shrink=0.8)

    return image(kind, (7.2, 6.4), title, paint)


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


def _short(name: str) -> str:
    return cut(drawable(name), LONGEST_NAME)
