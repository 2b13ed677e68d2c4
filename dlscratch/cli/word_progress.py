"""How a word2vec run looks: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlscratch.cli.console import Console, number
from dlscratch.runs.word2vec import Word2VecRun
from dlscratch.word2vec.trainer import Epoch
from dlscratch.word2vec.trainer import Progress as Step

if TYPE_CHECKING:
    from rich.progress import Progress


class WordView:
    """Shows the phases and the records of a run as they come."""

    def __init__(self, console: Console, bar: Progress | None) -> None:
        self.console, self.bar = console, bar
        self.task = bar.add_task("", total=None, figures="counting") if bar else None
        self.bytes = 0
        self.held_out = ""

    def counted(self, count: int) -> None:
        """So many more bytes of text have been counted."""
        self.bytes += count
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, figures=f"counting and encoding  {self.bytes / 1e6:,.0f} MB")

    def leave(self) -> None:
        """Give the terminal its cursor back, for a process that ends in the middle."""
        if self.bar is not None:
            self.console.rich.show_cursor()

    def show(self, record: Step, run: Word2VecRun) -> None:
        """Move the bar on, or write the line of an epoch."""
        epochs = run.settings.options.epochs
        speed = f"{record.words_per_second:,.0f} words/s"
        if isinstance(record, Epoch):
            self.held_out = f"  held-out {_loss(record)}"
            head = f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}"
            self.console.say(f"{head}  held-out loss {_loss(record)}  lr {number(record.lr)}  {speed}")
        elif self.bar is not None and self.task is not None:
            figures = f"training  epoch {record.epoch}/{epochs}  loss {_loss(record)}{self.held_out}  {speed}"
            total = epochs * run.encoded.report.words
            self.bar.update(self.task, completed=record.words, total=total, figures=figures)


def _loss(record: Step) -> str:
    return "– (no pair is left)" if record.loss is None else f"{record.loss:.4f}"


@contextmanager
def word_view(console: Console) -> Iterator[WordView]:
    """A bar under the lines while a person is watching; lines alone otherwise."""
    if not console.is_terminal or console.quiet:
        yield WordView(console, None)
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    from dlscratch.cli.bars import Bar

    columns = (BarColumn(bar_width=24), TextColumn("{task.fields[figures]}"), TimeRemainingColumn())
    with Bar(*columns, console=console.rich, transient=True, refresh_per_second=8) as bar:
        yield WordView(console, bar)


def duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3.4 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
