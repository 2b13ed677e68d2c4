"""Curves: what metrics.jsonl says, epoch after epoch, of one run or of several; as numbers and by matplotlib."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from dlscratch.errors import UsageError, did_you_mean
from dlscratch.pictures.axes import Axis, tick_name
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.figures import drawable, image

X = Literal["epoch", "step", "seconds"]
FACTS = ("epoch", "step", "seconds", "lr", "best", "words_per_second")  # of an epoch, besides its metrics
UNITS = {
    "loss": "mean of an example",
    "accuracy": "part of the examples",
    "macro_f1": "0 to 1",
    "mae": "units of the target",
    "rmse": "units of the target",
    "r2": "part of the variance",
    "seconds": "s",
    "words_per_second": "words/s",
}
TITLES = {  # where the name says too little
    "macro_f1": "macro F1",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "lr": "learning rate",
}
BEST = {"accuracy": 1.0, "macro_f1": 1.0, "r2": 1.0}  # nothing is above
MARKERS = (None, "o", "s", "^", "v")  # of the first runs, as many as there are colours, of the next …

VALIDATION = "validation"
CLEARANCE = 0.005  # so that a line at the very top is whole

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Series:
    """One curve: a value, or None where it was not finite, at each x; of a `run`, and of a `part` of its data.

    In all charts of a picture `colour` tells the runs apart, or the parts of a single run.
    """

    run: str
    part: str
    x: list[float]
    y: list[float | None]
    name: str
    colour: int = 0

    @property
    def dashed(self) -> bool:
        """Whether it is of the validation rows: drawn in the same way wherever it stands."""
        return self.part == VALIDATION

    @property
    def last(self) -> float | None:
        """The last number; None where there is none."""
        return next((value for value in reversed(self.y) if value is not None), None)

    @property
    def is_point(self) -> bool:
        """Whether it is one number alone, which a line would not show."""
        return sum(value is not None for value in self.y) == 1


@dataclass(frozen=True)
class Chart:
    """The curves of one metric over `x`."""

    metric: str
    x: X
    series: list[Series]

    @property
    def title(self) -> str:
        """`top_5_accuracy` -> `top 5 accuracy`."""
        return title_of(self.metric)

    @property
    def unit(self) -> str:
        """What its numbers are."""
        return UNITS.get(self.metric, "")

    @property
    def most(self) -> float:
        """What its numbers cannot be above."""
        return BEST.get(self.metric, math.inf)

    @property
    def x_name(self) -> str:
        """The name of the x axis, with its unit."""
        return {"epoch": "epoch", "step": "step (updates)", "seconds": "time (s)"}[self.x]

    @property
    def counts(self) -> bool:
        """Whether the x axis counts, and so has no fractions."""
        return self.x != "seconds"


def title_of(metric: str) -> str:
    """`top_5_accuracy` -> `top 5 accuracy`."""
    return TITLES.get(metric, metric.replace("_", " "))


def charts(runs: Mapping[str, Lines], metrics: Iterable[str] = (), x: X = "epoch") -> list[Chart]:
    """One chart a metric, with a curve for training and one for validation of each run that has it.

    `metrics` are the charts to draw; by default all but those of the clock and the learning rate. UsageError: unknown.
    """
    names = {key.removeprefix("val_"): None for lines in runs.values() for line in lines for key in line}
    known = [name for name in names if any(_numbers(lines, key) for lines in runs.values() for key in _keys(name))]
    for name in (wanted := list(metrics)):
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise UsageError(f'there is no metric "{name}"{hint}')
    return [_chart(runs, name, x) for name in wanted or (name for name in known if name not in FACTS)]


def _keys(metric: str) -> dict[str, str]:
    return {metric: "training", f"val_{metric}": VALIDATION}


def _numbers(lines: Lines, key: str) -> bool:
    """Whether a key holds numbers: of lists and truths there are no curves."""
    return any(isinstance(line.get(key), int | float) and not isinstance(line[key], bool) for line in lines)


def _chart(runs: Mapping[str, Lines], metric: str, x: X) -> Chart:
    series = []
    for number, (run, lines) in enumerate(runs.items()):
        for key, part in _keys(metric).items():
            if _numbers(lines, key):
                part = "held out" if metric == "loss" and "words_per_second" in lines[0] else part  # of a word2vec run
                name, colour = (part, int(part == VALIDATION)) if len(runs) == 1 else (f"{run}, {part}", number)
                values = [line.get(key) for line in lines]
                series.append(Series(run, part, _positions(lines, x), values, name, colour))
    return Chart(metric, x, series)


def _positions(lines: Lines, x: X) -> list[float]:
    """Where each line stands: seconds add up, unless they are counted from the start."""
    values = [float(line.get(x) or 0) for line in lines]
    return list(accumulate(values)) if x == "seconds" and "step" in lines[0] else values


def to_json(drawn: Iterable[Chart]) -> list[dict[str, Any]]:
    """The charts as a document."""
    return [
        {
            "metric": chart.metric,
            "unit": chart.unit,
            "x": chart.x,
            "series": [{"run": s.run, "part": s.part, "x": s.x, "y": s.y} for s in chart.series],
        }
        for chart in drawn
    ]


def to_csv(drawn: Sequence[Chart]) -> str:
    """The charts as CSV, a line a point; numbers read back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "part", "metric", drawn[0].x if drawn else "epoch", "value"])
    for chart in drawn:
        for s in chart.series:
            points = zip(s.x, s.y, strict=True)
            writer.writerows([s.run, s.part, chart.metric, _whole(x), "" if y is None else y] for x, y in points)
    return text.getvalue()


def _whole(x: float) -> float:
    """3 for 3.0: the number of an epoch."""
    return int(x) if x.is_integer() else x


def draw(drawn: Sequence[Chart], kind: str, *, log: bool = False) -> bytes:
    """The charts beside each other as an image of the kind that matplotlib calls so (png, svg, pdf)."""
    columns = min(2, len(drawn)) or 1
    rows = -(-len(drawn) // columns)

    def paint(figure: Any) -> None:
        for number, chart in enumerate(drawn):
            _axes(figure.add_subplot(rows, columns, number + 1), chart, log)

    return image(kind, (6.4 * columns, 4.0 * rows), ", ".join(chart.title for chart in drawn), paint)


def _axes(axes: Any, chart: Chart, log: bool) -> None:
    """A colour for each run and a dash for each part; of a single run each part has its colour, too."""
    for series in chart.series:
        y = [math.nan if value is None else value for value in series.y]
        marker = "o" if series.is_point else MARKERS[series.colour // len(COLOURS) % len(MARKERS)]
        every = 1 if series.is_point else max(1, len(y) // 10)
        style = {"color": COLOURS[series.colour % len(COLOURS)], "marker": marker, "markevery": every}
        axes.plot(series.x, y, "--" if series.dashed else "-", label=drawable(series.name), **style)
    x = Axis.around((x for series in chart.series for x in series.x), whole=chart.counts, margin=0.03)
    axes.set(xlim=(x.low, x.high), ylim=(None, min(axes.get_ylim()[1], chart.most + CLEARANCE)))
    unit = f" ({chart.unit})" if chart.unit else ""
    title = drawable(chart.title)
    axes.set(title=title, xlabel=chart.x_name, ylabel=f"{title}{unit}", yscale="log" if log else "linear")
    axes.set(xticks=x.ticks(9))
    if log:  # as on a terminal; matplotlib's own names are powers in mathtext
        ticks = Axis.around((y for series in chart.series for y in series.y), log=True).ticks()
        axes.set_yticks(ticks, list(map(tick_name, ticks)))
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
