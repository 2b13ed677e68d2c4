"""`--set model[2].linear.out_features=64`: one value of a document replaced from the command line."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from dlscratch.config.positions import Document, KeyPath, Position, Positions, composed, dotted, expanded, show
from dlscratch.errors import ConfigError

_KEY = r'(?:[^\s.\[\]="]+|"[^"\\]*")'
_PATH = re.compile(rf"{_KEY}(?:\.{_KEY}|\[-?\d{{1,9}}\])*")
_STEP = re.compile(rf"({_KEY})|\[(-?\d+)\]")


class _PathError(Exception):
    """The path so far, and why it leads nowhere."""


def apply_overrides(document: Document, texts: Iterable[str]) -> Document:
    """A new document in which each `path=value` has been written, in order; the value is YAML.

    Missing mappings are made on the way, and a bare kind (`dropout`) becomes `{dropout: {…}}` where the path goes
    into it. Indices count from 0, or from the end when negative; a key with a dot or space stands in double quotes.
    ConfigError lists every override that cannot be written.
    """
    problems: list[str] = []
    for text in texts:
        try:
            document = _overridden(document, text)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return document


def _overridden(document: Document, text: str) -> Document:
    values, positions = copy.deepcopy(document.values), dict(document.positions)
    overrides = (*document.overrides, f"--set {text}")
    here = Position(len(overrides), 1, 1)
    after = dataclasses.replace(document, values=values, positions=positions, overrides=overrides)
    try:
        path, right = _parsed(text)
        inside: Positions = {}
        value = expanded(composed(right, after, here.override, path), (), inside, here.override)
        path = _written(after, path, value, here)
    except _PathError as error:
        raise after.error_at([(here, *error.args)]) from None
    for old in [old for old in positions if old[: len(path)] == path]:
        del positions[old]
    positions.update({(*path, *inner): places for inner, places in inside.items()})
    return after


def _parsed(text: str) -> tuple[KeyPath, str]:
    """`model[2].linear=relu` as `("model", 2, "linear")` and `relu`."""
    match = _PATH.match(text)
    if match is None or text[match.end() : match.end() + 1] != "=":
        raise _PathError((), "write KEY=VALUE, such as training.epochs=30 or model[2].linear.out_features=64")
    steps = _STEP.findall(match[0])
    return tuple(key.strip('"') if key else int(index) for key, index in steps), text[match.end() + 1 :]


def _written(document: Document, path: KeyPath, value: Any, here: Position) -> KeyPath:
    """Put `value` into the document's values; the path with its indices counted from 0."""
    parent: Any = document.values
    done: KeyPath = ()
    for part, following in pairwise((*path, None)):
        part = _checked(parent, part, done)
        done = (*done, part)
        if following is None:
            parent[part] = value
            break
        child = parent.get(part) if isinstance(parent, dict) else parent[part]
        if isinstance(following, str) and (child is None or child == following):
            document.positions.setdefault(done, (here, here))
            child = parent[part] = {} if child is None else {child: {}}
        parent = child
    return done


def _checked(parent: Any, part: str | int | None, done: KeyPath) -> str | int:
    """The key, or the index from 0, of `part` in `parent`."""
    name = dotted(done)
    if isinstance(parent, list):
        if isinstance(part, int) and -len(parent) <= part < len(parent):
            return part % len(parent)
        held = f"is a list of {len(parent)}"
        end = f" to {name}[{len(parent) - 1}]" if len(parent) > 1 else ""
        raise _PathError(done, f"{held}; write {name}[0]{end}" if parent else f"{held}, so nothing in it can be set")
    if isinstance(parent, dict) and isinstance(part, str):
        return part
    if isinstance(parent, dict):
        raise _PathError(done, f"is a mapping, not a list; write a key instead of [{part}]")
    inner = f"{name}={{{part}: …}}" if isinstance(part, str) else f"{name}=[…]"
    raise _PathError(done, f"is {show(parent)}, which holds nothing that could be set; to replace it, write {inner}")
