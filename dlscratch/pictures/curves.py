"""Curves: what metrics.jsonl says, epoch after epoch, of one run or of several; as numbers and by matplotlib."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from dlscratch.errors import UsageError, did_you_mean
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
MARKERS = (None, "o", "s", "^", "v")  # of the first runs, as many as there are colours, of the next …

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Series:
    """One curve: a value, or None where it was not finite, at each x; of a `run`, and of a `part` of its data."""

    run: str
    part: str
    x: list[float]
    y: list[float | None]
    name: str

    @property
    def dashed(self) -> bool:
        """Whether it is of the validation rows: drawn in the same way wherever it stands."""
        return self.part == "validation"


@dataclass(frozen=True)
class Chart:
    """The curves of one metric over `x`."""

    metric: str
    x: X
    series: list[Series]

    @property
    def title(self) -> str:
        """`top_5_accuracy` -> `top 5 accuracy`."""
        return TITLES.get(self.metric, self.metric.replace("_", " "))

    @property
    def unit(self) -> str:
        """What its numbers are."""
        return UNITS.get(self.metric, "")

    @property
    def x_name(self) -> str:
        """The name of the x axis, with its unit."""
        return {"epoch": "epoch", "step": "step (updates)", "seconds": "time (s)"}[self.x]

    @property
    def counts(self) -> bool:
        """Whether the x axis counts, and so has no fractions."""
        return self.x != "seconds" and all(x.is_integer() for series in self.series for x in series.x)


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
    return {metric: "training", f"val_{metric}": "validation"}


def _numbers(lines: Lines, key: str) -> bool:
    """Whether a key holds numbers: of lists and truths there are no curves."""
    return any(isinstance(line.get(key), int | float) and not isinstance(line[key], bool) for line in lines)


def _chart(runs: Mapping[str, Lines], metric: str, x: X) -> Chart:
    series = []
    for run, lines in runs.items():
        for key, part in _keys(metric).items():
            if _numbers(lines, key):
                part = "held out" if metric == "loss" and "words_per_second" in lines[0] else part  # of a word2vec run
                name = part if len(runs) == 1 else f"{run}, {part}"
                series.append(Series(run, part, _positions(lines, x), [line.get(key) for line in lines], name))
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
    runs = list(dict.fromkeys(series.run for series in chart.series))
    for series in chart.series:
        run = runs.index(series.run)
        colour = run if len(runs) > 1 else int(series.dashed)
        y = [float("nan") if value is None else value for value in series.y]
        marker = "o" if len(y) == 1 else MARKERS[run // len(COLOURS) % len(MARKERS)]
        style = {"color": COLOURS[colour % len(COLOURS)], "marker": marker, "markevery": max(1, len(y) // 10)}
        axes.plot(series.x, y, "--" if series.dashed else "-", label=drawable(series.name), **style)
    unit = f" ({chart.unit})" if chart.unit else ""
    title = drawable(chart.title)
    axes.set(title=title, xlabel=chart.x_name, ylabel=f"{title}{unit}", yscale="log" if log else "linear")
    axes.xaxis.get_major_locator().set_params(integer=chart.counts)
    axes.grid(alpha=0.3)
    axes.legend()
