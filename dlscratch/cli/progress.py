"""How a training run looks: a bar under a small curve on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dlscratch.cli.console import Console, number
from dlscratch.training import Epoch, Step

if TYPE_CHECKING:
    from dlscratch.cli.live import CurveAndBar

FOLLOWED = ("loss", "val_loss", "val_accuracy", "val_rmse", "val_r2")
WITHOUT_VALIDATION = ("loss", "accuracy", "rmse", "r2")
LONGEST_LR, LONGEST_TIME = len("  lr 1.234e-05"), len("  0.00012 s")


def epoch_line(record: Epoch, epochs: int, width: int = sys.maxsize) -> str:
    """`epoch  3/40  loss 0.2811  val_loss 0.3012  val_accuracy 0.9444  lr 0.003  0.1 s  best`.

    A terminal of less width does without the learning rate, the time, and the last of the metrics, in this order.
    """
    names = FOLLOWED if "val_loss" in record.values else WITHOUT_VALIDATION
    shown = [f"{name} {figure(record.values[name])}" for name in names if name in record.values]
    notes = ["best"] if record.best else []
    notes += ["time is up"] if not record.complete else []
    notes += ["no improvement: stopped early"] if record.stopped else []
    parts = [f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}", *shown]
    kept = max(len("best"), len("  ".join(notes)))
    while len(parts) > 2 and len("  ".join(parts)) + 2 + kept > width:
        parts.pop()
    room = width - len("  ".join(parts)) - 2 - kept
    lr = [f"lr {number(record.lr)}"] if room >= LONGEST_LR + LONGEST_TIME else []
    seconds = f"{record.seconds:.0f} s" if record.seconds >= 100 else f"{record.seconds:.2g} s"
    return "  ".join([*parts, *lr, *([seconds] if room >= LONGEST_TIME else []), *notes])


def figure(value: Any) -> str:
    """A number whose digits stay in their columns from line to line."""
    return f"{value:.4f}" if abs(value) < 1000 else number(value)


class Training:
    """Shows the records of a run as they come."""

    def __init__(self, console: Console, epochs: int, bar: CurveAndBar | None) -> None:
        self.console, self.epochs, self.bar = console, epochs, bar
        self.task = bar.add_task("", total=1.0, figures="") if bar else None
        self.loss: float | None = None
        self.last: Mapping[str, Any] = {}

    def show(self, record: Step | Epoch) -> None:
        """Move the bar on, or write the line of an epoch."""
        if isinstance(record, Epoch):
            self.last = record.values
            if self.bar is not None:
                self.bar.curve.epoch(record)
            width = self.console.rich.width if self.console.is_terminal else sys.maxsize
            self.console.say(epoch_line(record, self.epochs, width))
        elif self.bar is not None and self.task is not None:
            self.loss = record.loss if self.loss is None else 0.95 * self.loss + 0.05 * record.loss
            self.bar.curve.step(record, self.loss)
            done = (record.epoch - 1) * record.batches + record.batch
            figures = f"epoch {record.epoch}/{self.epochs}  loss {self.loss:.4f}"
            for name in ("val_accuracy", "val_rmse"):
                figures += f"  {name} {figure(self.last[name])}" if name in self.last else ""
            self.bar.update(self.task, completed=done, total=self.epochs * record.batches, figures=figures)


@contextmanager
def training_view(console: Console, epochs: int) -> Iterator[Training]:
    """A curve and a bar under the lines while a person is watching; lines alone otherwise."""
    if not console.is_terminal or console.quiet:
        yield Training(console, epochs, None)
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    from dlscratch.cli.live import CurveAndBar

    columns = (
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with CurveAndBar(*columns, console=console.rich, transient=True, refresh_per_second=8) as bar:
        yield Training(console, epochs, bar)
