"""The bar of everything that takes a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import Progress

ECHO = 3  # columns: a terminal writes ^C where the cursor is, and past its edge that would be a line more to take away


@dataclass
class WithRoom:
    """What leaves the last columns of the terminal free."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.content, options.update_width(max(1, options.max_width - ECHO)))


class Bar(Progress):
    """A bar with room behind it."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is drawn, from top to bottom."""
        yield WithRoom(self.make_tasks_table(self.tasks))
