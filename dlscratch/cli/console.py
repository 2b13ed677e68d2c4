"""What reaches the terminal: text, tables, progress and JSON. Rich is imported here and in progress.py alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import rich.box
import rich.console
import rich.markup
import rich.table
import rich.text
import rich.tree

if TYPE_CHECKING:
    from dlscratch.pictures.tree import Branch

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

WIDE = 400


def harmless(text: object) -> str:
    """Text from a file as it may be shown: control characters, which could steer a terminal, written out."""
    return CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), str(text))


class Console:
    """The command's voice. Text goes to stdout, or to stderr when stdout carries a JSON document."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.rich = rich.console.Console(stderr=json, highlight=False, soft_wrap=True)
        if not self.rich.is_terminal:
            self.rich.width = WIDE  # a file or a pipe has no edge
        self.errors = rich.console.Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Whether a person is watching."""
        return self.rich.is_terminal

    def say(self, text: object = "", style: str | None = None) -> None:
        """A line of text, not in --quiet."""
        if not self.quiet:
            self.rich.print(rich.markup.escape(harmless(text)), style=style)

    def answer(self, text: object, style: str | None = None) -> None:
        """A line that the command was asked for: in --quiet, too, but not beside a JSON document."""
        if not (self.quiet and self.json):
            self.rich.print(rich.markup.escape(harmless(text)), style=style)

    def warn(self, text: object) -> None:
        """A line on stderr, not in --quiet."""
        if not self.quiet:
            self.errors.print(f"warning: {harmless(text)}", style="yellow", markup=False)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None, left: int = 1
    ) -> None:
        """A table, which is a result: the first `left` columns to the left, the others, numbers, to the right."""
        if self.quiet and self.json:
            return
        table = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(columns):
            justify: Literal["left", "right"] = "left" if number < left else "right"
            table.add_column(harmless(name), justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*(rich.markup.escape(harmless(cell)) for cell in row))
        self.rich.print(table, soft_wrap=False)

    def tree(self, branch: Branch) -> None:
        """A tree with lines drawn before its branches, not in --quiet."""
        if not self.quiet:
            self.rich.print(_tree(branch), soft_wrap=False)

    def result(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """The command's result: with --json the document, alone on stdout."""
        if self.json:
            from dlscratch.runs.folder import finite

            text = json.dumps(finite(document), ensure_ascii=False, indent=2)
            escaped = CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)  # all stand inside strings
            self.write(f"{escaped}\n")

    def write(self, text: str) -> None:
        """A document (CSV, YAML, JSON) to stdout: in UTF-8 as it is, or without control characters to a terminal."""
        if sys.stdout.isatty():
            sys.stdout.write("\n".join(map(harmless, text.split("\n"))))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def _tree(branch: Branch) -> rich.tree.Tree:
    tree = rich.tree.Tree(rich.text.Text(harmless(branch.label), overflow="fold"), guide_style="dim")
    tree.children = [_tree(each) for each in branch.branches]
    return tree


def number(value: Any, digits: int = 4) -> str:
    """A figure for a table: whole numbers with thousands separated, others with `digits` significant ones."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
