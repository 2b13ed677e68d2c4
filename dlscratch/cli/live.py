"""Curves in a terminal: in colours, and, beside a training's bar, while they grow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import ProgressColumn
from rich.text import Text

from dlscratch.cli.bars import Bar
from dlscratch.pictures.braille import Line, plot
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.curves import Chart, Series
from dlscratch.pictures.text import harmless
from dlscratch.training import Epoch, Step

LEAST_HEIGHT, LEAST_WIDTH = 16, 50  # a smaller terminal is for the lines
WIDTH, HEIGHT = 80, 6
MOST_POINTS = 160
PAUSE = 0.5  # seconds between two drawings


def coloured(lines: Sequence[Line]) -> Text:
    """A plot's lines, each curve in its colour."""
    return Text("\n", no_wrap=True).join(map(_coloured, lines))


def _coloured(line: Line) -> Text:
    text = Text.assemble(*((harmless(part), "" if n is None else COLOURS[n % len(COLOURS)]) for part, n in line))
    text.rstrip()
    return text


class LiveCurve:
    """The loss of a run under way, in a few lines; a long run costs no more than a short one."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []
        self.validation: list[tuple[float, float]] = []
        self.stride = 1
        self._drawn, self._text = 0.0, Text("")

    def step(self, record: Step, loss: float) -> None:
        """Note the (smoothed) loss after a step."""
        if record.step % self.stride == 0:
            self.points.append((record.epoch - 1 + record.batch / record.batches, loss))
        if len(self.points) > MOST_POINTS:
            self.points, self.stride = self.points[1::2], 2 * self.stride

    def epoch(self, record: Epoch) -> None:
        """Note the loss on the validation rows."""
        loss = record.values.get("val_loss")
        if isinstance(loss, float):
            self.validation.append((float(record.epoch), loss))
            self.validation = self.validation[-MOST_POINTS:]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < LEAST_WIDTH or console.height < LEAST_HEIGHT or len(self.points) < 2:
            return
        if time.monotonic() - self._drawn > PAUSE:
            lines = plot(self._chart(), min(WIDTH, options.max_width), HEIGHT)
            self._text, self._drawn = coloured(lines), time.monotonic()
        yield self._text

    def _chart(self) -> Chart:
        known = {"training": self.points, "validation": self.validation}
        shown = [(name, points, colour) for colour, (name, points) in enumerate(known.items()) if points]
        return Chart("loss", "epoch", [_series(*each) for each in shown])


def _series(name: str, points: Sequence[tuple[float, float]], colour: int) -> Series:
    return Series("", name, [x for x, _ in points], [y for _, y in points], name, colour)


class CurveAndBar(Bar):
    """A bar under a curve."""

    def __init__(self, *columns: str | ProgressColumn, **options: Any) -> None:
        self.curve = LiveCurve()
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is drawn, from top to bottom."""
        yield self.curve
        yield from super().get_renderables()
