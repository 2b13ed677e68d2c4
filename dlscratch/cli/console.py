"""What reaches the terminal: text, tables, trees and JSON. Rich is imported where it has something to do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from dlscratch.pictures.text import HIDDEN, figure, harmless, one_line

if TYPE_CHECKING:
    import rich.console
    import rich.tree

    from dlscratch.pictures.tree import Branch

WIDE = 400
FORCED = ("FORCE_COLOR", "TTY_COMPATIBLE")  # a wish to see colours in a pipe, which Rich understands


class Stream:
    """Lines to stdout or stderr: to a file or pipe as they are, and through Rich where they may have a style."""

    def __init__(self, *, stderr: bool) -> None:
        self.stderr = stderr
        file = sys.stderr if stderr else sys.stdout
        self.plain = not file.isatty() and not any(name in os.environ for name in FORCED)

    @cached_property
    def rich(self) -> rich.console.Console:
        """The same stream for what only Rich can draw."""
        from rich.console import Console

        made = Console(stderr=self.stderr, highlight=False, soft_wrap=True, emoji=False)
        if not made.is_terminal:
            made.width = WIDE  # a file or a pipe has no edge
        return made

    def line(self, text: str, style: str | None) -> None:
        """Write a line, at once."""
        if self.plain:
            print(text, file=sys.stderr if self.stderr else sys.stdout, flush=True)
        else:
            self.rich.print(text, style=style, markup=False)


class Console:
    """The command's voice. Text goes to stdout, or to stderr when stdout carries a JSON document."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.out, self.errors = Stream(stderr=json), Stream(stderr=True)

    @property
    def rich(self) -> rich.console.Console:
        """For tables, trees and bars."""
        return self.out.rich

    @property
    def is_terminal(self) -> bool:
        """Whether a person is watching."""
        return not self.out.plain and self.rich.is_terminal

    def say(self, text: object = "", style: str | None = None) -> None:
        """A line of text, not in --quiet."""
        if not self.quiet:
            self.out.line(harmless(text), style)

    def answer(self, text: object, style: str | None = None) -> None:
        """A line that the command was asked for: in --quiet, too, but not beside a JSON document."""
        if not (self.quiet and self.json):
            self.out.line(harmless(text), style)

    def warn(self, text: object) -> None:
        """A line on stderr, not in --quiet."""
        if not self.quiet:
            self.errors.line(f"warning: {harmless(text)}", "yellow")

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None, left: int = 1
    ) -> None:
        """A table, which is a result: the first `left` columns to the left, the others, numbers, to the right."""
        if self.quiet and self.json:
            return
        from rich import box, markup
        from rich.table import Table

        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(columns):
            justify: Literal["left", "right"] = "left" if number < left else "right"
            table.add_column(markup.escape(one_line(name)), justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*(markup.escape(one_line(cell)) for cell in row))
        self.rich.print(table, soft_wrap=False)

    def tree(self, branch: Branch) -> None:
        """A tree with lines drawn before its branches, not in --quiet."""
        if not self.quiet:
            self.rich.print(_tree(branch), soft_wrap=False)

    def result(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """The command's result: with --json the document, alone on stdout."""
        if self.json:
            from dlscratch.runs.records import finite

            text = json.dumps(finite(document), ensure_ascii=False, indent=2)
            escaped = HIDDEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)  # all stand inside strings
            self.write(f"{escaped}\n")

    def write(self, text: str) -> None:
        """A document (CSV, YAML, JSON) to stdout: in UTF-8 as it is, or without control characters to a terminal."""
        if sys.stdout.isatty():
            sys.stdout.write("\n".join(map(harmless, text.split("\n"))))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def _tree(branch: Branch) -> rich.tree.Tree:
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(harmless(branch.label), overflow="fold"), guide_style="dim")
    tree.children = [_tree(each) for each in branch.branches]
    return tree


def number(value: Any, digits: int = 4) -> str:
    """A figure for a table: whole numbers with thousands separated, others with `digits` significant ones."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return figure(value, digits) if isinstance(value, float) else str(value)
