"""Charts of a page, as SVG by our own code: lines, histograms, scatter plots; colours and dashes are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dlscratch.pictures.axes import Axis, tick_name
from dlscratch.pictures.curves import Chart
from dlscratch.pictures.markup import Html, join, tag
from dlscratch.pictures.tensors import Histogram
from dlscratch.pictures.text import cut

WIDTH, HEIGHT = 420, 260
RIGHT, TOP, BOTTOM = WIDTH - 22, 10, HEIGHT - 44
DIGIT = 7.5  # the width of a digit
LONGEST_NAME = 40  # letters beside an axis


def line_chart(chart: Chart, best: float | None, *, log: bool = False) -> Html:
    """The curves of a chart; a dotted line marks the best epoch. The one by logarithms waits until it is asked for.

    `data-places` holds the place of each x, so that the page can show the numbers of the place that is pointed at.
    """
    y = Axis.around((v for s in chart.series for v in s.y), BOTTOM, TOP, log=log, margin=0.05, most=chart.most)
    x = Axis.around((v for s in chart.series for v in s.x), left_of(y), RIGHT, whole=chart.counts)
    curves = [_curve(s.x, s.y, x, y, f"line {s.part}") for s in chart.series]
    mark = tag("line", class_="best", x1=x(best), x2=x(best), y1=float(TOP), y2=float(BOTTOM)) if best else ""
    places = ",".join(f"{x(value):.1f}" for value in chart.series[0].x)
    cursor = tag("line", class_="cursor", y1=float(TOP), y2=float(BOTTOM))
    drawn = join([frame(x, y, chart.x_name, chart.unit or chart.title), mark, *curves, cursor])
    waiting = {"class_": "log", "hidden": True} if log else {}
    return svg(f"{chart.title} by {chart.x}", drawn, data_places=places, tabindex=0, **waiting)


def _curve(xs: Sequence[float], ys: Sequence[float | None], x: Axis, y: Axis, style: str) -> Html:
    """A path through the points that can be drawn; a point alone becomes a dot."""
    path, pen = "", "M"
    for point in zip(map(x, xs), map(y, ys), strict=True):
        path += "" if None in point else f"{pen}{point[0]:.1f} {point[1]:.1f}"
        pen = "M" if None in point else "L"
    dot = f"{path}h0" if path.count("L") == 0 and path else path
    return tag("path", class_=style, d=dot)


def histogram_chart(name: str, found: Histogram) -> Html:
    """The bars of a histogram."""
    y = Axis(0, max(found.counts), BOTTOM, TOP, whole=True)
    x = Axis(found.edges[0], found.edges[-1], left_of(y), RIGHT)
    bars = []
    for low, high, count in zip(found.edges[:-1], found.edges[1:], found.counts, strict=True):
        left, right, top = x(low), x(high), y(count)
        if count and left is not None and right is not None and top is not None:
            bars.append(f"M{left:.1f} {BOTTOM}V{top:.1f}H{right:.1f}V{BOTTOM}Z")
    drawn = tag("path", class_="bar", d="".join(bars))
    return svg(f"Histogram of {name}", join([frame(x, y, "value", "values (count)"), drawn]))


def scatter_chart(actual: Sequence[float], predicted: Sequence[float], where: Sequence[str], unit: str) -> Html:
    """Predicted against actual numbers; on the line they are equal."""
    both = Axis.around([*actual, *predicted], margin=0.04)
    y = Axis(both.low, both.high, BOTTOM, TOP)
    x = Axis(both.low, both.high, left_of(y), RIGHT)
    line = tag("line", class_="zero", x1=x.start, y1=float(BOTTOM), x2=float(RIGHT), y2=float(TOP))
    dots = _dots(actual, predicted, where, x, y)
    return svg("Predicted against actual", join([frame(x, y, f"actual {unit}", f"predicted {unit}"), line, dots]))


def residual_chart(actual: Sequence[float], predicted: Sequence[float], where: Sequence[str], unit: str) -> Html:
    """Predicted minus actual numbers, by the predicted ones."""
    residuals = [p - a for a, p in zip(actual, predicted, strict=True)]
    y = Axis.around([0, *residuals], BOTTOM, TOP, margin=0.04)
    x = Axis.around(predicted, left_of(y), RIGHT, margin=0.04)
    line = tag("line", class_="zero", x1=x.start, y1=y(0), x2=float(RIGHT), y2=y(0))
    dots = _dots(predicted, residuals, where, x, y)
    return svg("Residuals", join([frame(x, y, f"predicted {unit}", "predicted − actual"), line, dots]))


def _dots(xs: Sequence[float], ys: Sequence[float], names: Sequence[str], x: Axis, y: Axis) -> Html:
    return join(
        tag("circle", tag("title", f"{name}: {b:.6g} at {a:.6g}"), class_="dot", cx=x(a), cy=y(b), r=3)
        for a, b, name in zip(xs, ys, names, strict=True)
    )


def svg(label: str, content: Html, **attributes: object) -> Html:
    """A picture that fits its place, named for a reader who does not see it."""
    box = f"0 0 {WIDTH} {HEIGHT}"
    return tag("svg", content, viewBox=box, role="img", aria_label=f"{label}; the numbers follow", **attributes)


def left_of(y: Axis) -> float:
    """Where a picture begins: to the left there is room for the names of the ticks, and for that of the axis."""
    return 30 + DIGIT * max(len(tick_name(tick)) for tick in y.ticks())


def frame(x: Axis, y: Axis, x_name: str, y_name: str) -> Html:
    """Both axes: lines at round numbers, their names, and what they count."""
    parts = []
    for tick in x.ticks(7):
        parts.append(tag("line", class_="grid", x1=x(tick), x2=x(tick), y1=float(TOP), y2=float(BOTTOM)))
        parts.append(tag("text", tick_name(tick), x=x(tick), y=BOTTOM + 16, class_="tick middle"))
    for tick in y.ticks():
        parts.append(tag("line", class_="grid", x1=x.start, x2=float(RIGHT), y1=y(tick), y2=y(tick)))
        parts.append(tag("text", tick_name(tick), x=x.start - 6, y=(y(tick) or math.nan) + 4, class_="tick end"))
    middle = (TOP + BOTTOM) / 2
    parts.append(tag("text", cut(x_name, LONGEST_NAME), x=(x.start + RIGHT) / 2, y=HEIGHT - 8, class_="axis middle"))
    turned = f"rotate(-90 13 {middle:g})"
    parts.append(tag("text", cut(y_name, LONGEST_NAME), x=13, y=middle, transform=turned, class_="axis middle"))
    return join(parts)
