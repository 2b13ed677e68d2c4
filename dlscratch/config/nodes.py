"""YAML text -> a tree of nodes with places, within limits: the rules of positions.py are enforced here.

PyYAML scans and parses (without recursion); the tree is built here, because its own composer and resolver know
neither limits nor YAML 1.2, and a tag that is never resolved cannot run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

MAX_NODES = 10_000
MAX_DEPTH = 50

INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: no file holds it and no name has it
WORDS: dict[str, Any] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], float("inf")),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], float("-inf")),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], float("nan")),
}

# What PyYAML says, what we say instead, and whether the fault lies where the construct began.
SYNTAX = [
    (r"mapping values are not allowed", 'a ":" cannot stand here; check the indentation, or quote the text', False),
    (r"found character '\\t'", "a tab cannot stand here; indent with spaces", False),
    (r"found character '(.)'", r'text cannot begin with "\1"; put it in quotes', False),
    (r"could not find expected ':'", 'a ":" is missing after this key', True),
    (r"expected the node content", "a value is missing here", False),
    (r"expected <block end>", "this does not fit the lines above; check the indentation", False),
    (r"expected ',' or '(.)'", r'a "\1" or a comma is missing for the bracket that opens here', True),
    (r"found unexpected (end of stream|document separator)", "this quote is not closed", True),
]

Place = tuple[int, int]  # line and column, from 1


class SyntaxProblem(NamedTuple):
    """One thing that is wrong with the YAML."""

    place: Place
    path: tuple[str | int, ...]
    what: str


class _StopError(Exception):
    """A problem that cannot be read past."""


@dataclass(slots=True)
class Node:
    """A scalar, a list of nodes, or a mapping of key -> (place of the key, node).

    `size` counts its values with aliases written out, `height` its levels.
    """

    value: Any
    place: Place
    size: int = 1
    height: int = 1


def compose(text: str, problems: list[SyntaxProblem]) -> Node:
    """The root of the one document in `text` (null where there is none); appends what is wrong to `problems`."""
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        return _Composer(problems).document(_events(loader))
    except _StopError as stop:
        problems[:] = [stop.args[0]]
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        problems[:] = [SyntaxProblem(place, (), f"the character U+{ord(text[error.position]):04X} is not allowed")]
    except yaml.MarkedYAMLError as error:
        problems[:] = [_in_our_words(error)]
    except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF", or %YAML and thousands of digits
        place = (1, 1) if loader is None else (loader.line + 1, loader.column + 1)
        problems[:] = [SyntaxProblem(place, (), f"not valid YAML: {error}")]
    return Node(None, (1, 1))


def _events(loader: Any) -> Iterator[yaml.Event]:
    while loader.check_event():
        yield loader.get_event()


def plain_scalar(text: str) -> Any:
    """The value of text without quotes; ValueError for an integer that is too long for Python."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.match(text):
        return int(text)
    return float(text) if FLOAT.match(text) else text


def _in_our_words(error: yaml.MarkedYAMLError) -> SyntaxProblem:
    for pattern, ours, at_start in SYNTAX:
        if match := re.match(pattern, error.problem or ""):
            mark = error.context_mark if at_start else None
            return SyntaxProblem(_at(mark or error.problem_mark), (), match.expand(ours))
    what = str(error.problem).replace(r"'\x00'", "the end")
    return SyntaxProblem(_at(error.problem_mark or error.context_mark), (), f"not valid YAML: {what}")


def _at(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def _place(event: yaml.Event) -> Place:
    return _at(event.start_mark)


class _Composer:
    """Events -> nodes. What can be read past goes to `problems`, so that one run tells all of it."""

    def __init__(self, problems: list[SyntaxProblem]) -> None:
        self.problems = problems
        self.events: Iterator[Any] = iter(())
        self.anchors: dict[str, Node | None] = {}

    def document(self, events: Iterator[Any]) -> Node:
        """The whole text, which holds one document; an empty one is null."""
        self.events = events
        next(events)  # the stream begins
        if isinstance(next(events), yaml.StreamEndEvent):
            return Node(None, (1, 1))
        root = self.node(next(events), (), 1)
        next(events)  # the document ends
        if not isinstance(after := next(events), yaml.StreamEndEvent):
            self.stop(after, 'a second document begins here; remove this "---" or what follows')
        return root

    def node(self, event: Any, path: tuple[str | int, ...], depth: int) -> Node:
        """The value that begins with an event; it is taken in to its end, also where its tag is a problem."""
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path, depth)
        if depth > MAX_DEPTH:
            self.stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problem(event, path, f'the tag "{tag}" is not allowed; remove it')
        if event.anchor is not None:
            self.anchors[event.anchor] = None  # known, but not complete: an alias to it would never end
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self.scalar(event, path), _place(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, path, depth)
        else:
            node = self.mapping(event, path, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, path: tuple[str | int, ...], depth: int) -> Node:
        """The node of an anchor itself, not a copy: however often it is named, it is there once."""
        node = self.anchors.get(event.anchor)
        if node is None:
            why = "stands inside its own anchor" if event.anchor in self.anchors else "has no anchor before it"
            self.problem(event, path, f"the alias *{event.anchor} {why} &{event.anchor}")
            return Node(None, _place(event))
        if depth + node.height - 1 > MAX_DEPTH:
            self.stop(event, f"nested deeper than {MAX_DEPTH} levels")
        return node

    def scalar(self, event: yaml.ScalarEvent, path: tuple[str | int, ...]) -> Any:
        """Text where it is quoted, and otherwise what it looks like: a number, true, null …"""
        text: str = event.value
        if half := SURROGATE.search(text):
            self.problem(event, path, f"the character U+{ord(half[0]):04X} is not allowed")
            return ""
        if not event.implicit[0]:  # in quotes, or a block of text
            return text
        try:
            return plain_scalar(text)
        except ValueError:  # Python converts 4,300 digits at most: the time grows with their square
            self.problem(event, path, f"a number of {len(text):,} digits is too long")
            return 0

    def sequence(self, start: Any, path: tuple[str | int, ...], depth: int) -> Node:
        """The list that begins with an event, to its end."""
        node = Node([], _place(start))
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            item = self.node(event, (*path, len(node.value)), depth + 1)
            self.grow(node, item, event)
            node.value.append(item)
        return node

    def mapping(self, start: Any, path: tuple[str | int, ...], depth: int) -> Node:
        """The mapping that begins with an event; its own keys go before those of a merge (`<<`)."""
        node = Node({}, _place(start))
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, path, depth)
            value = self.node(next(self.events), (*path, key), depth + 1)
            self.grow(node, value, event)
            if key == "<<" and getattr(event, "implicit", (False,))[0]:
                merged = {**self.merged(value, event, path), **merged}
            elif key in node.value:
                line, column = node.value[key][0]
                self.problem(event, (*path, key), f"given twice; the first is in line {line}, column {column}")
            else:
                node.value[key] = (_place(event), value)
        node.value = {**merged, **node.value}
        return node

    def key(self, event: Any, path: tuple[str | int, ...], depth: int) -> str:
        """The text of a key; any other key is a problem, and something unlike every other key stands in for it."""
        value = self.node(event, path, depth + 1).value
        if isinstance(value, str):
            return value
        if isinstance(value, list | dict):
            self.problem(event, path, "a list or mapping cannot be a key; a key is text")
        else:
            text = getattr(event, "value", "")
            self.problem(event, path, f'the key {text or "null"} is not text; put it in quotes: "{text}"')
        return "{}:{}".format(*_place(event))

    def merged(self, value: Node, event: Any, path: tuple[str | int, ...]) -> dict[str, Any]:
        """The entries that `<<: *one` or `<<: [*one, *two]` brings in; of equal keys the first wins."""
        sources = value.value if isinstance(value.value, list) else [value]
        if not all(isinstance(source.value, dict) for source in sources):
            self.problem(event, (*path, "<<"), "expected an alias of a mapping, such as *defaults, or a list of them")
            return {}
        return {key: entry for source in reversed(sources) for key, entry in source.value.items()}

    def grow(self, node: Node, child: Node, event: Any) -> None:
        node.size += child.size
        node.height = max(node.height, child.height + 1)
        if node.size > MAX_NODES:
            self.stop(event, f"more than {MAX_NODES:,} values, counted with every alias written out")

    def problem(self, event: Any, path: tuple[str | int, ...], what: str) -> None:
        self.problems.append(SyntaxProblem(_place(event), path, what))

    def stop(self, event: Any, what: str) -> None:
        raise _StopError(SyntaxProblem(_place(event), (), what))
