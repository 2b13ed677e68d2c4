"""The bar of everything that takes a while."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.constrain import Constrain
from rich.progress import Progress

ECHO = 3  # columns: a terminal writes ^C where the cursor is, and past its edge that would be a line more to take away


class Bar(Progress):
    """A bar that leaves room behind it."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is drawn, from top to bottom."""
        yield Constrain(self.make_tasks_table(self.tasks), self.console.width - ECHO)
