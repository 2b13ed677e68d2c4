"""YAML text -> plain values that remember their line and column, and back to text.

The dialect is YAML 1.2's core schema with numbers in decimal only: `1e-3` is a number; `yes`, `no`, `on`, `off`,
`2020-01-01`, `0x10`, `007` and `1:30` are text; only `true` and `false` are booleans. Anchors, aliases and the merge
key `<<` work. Refused are tags (so nothing in a file can run code), duplicate keys, keys that are not text, more than
MAX_NODES values (counted with every alias written out) and nesting deeper than MAX_DEPTH.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dlscratch.config.nodes import FLOAT, Node, Place, SyntaxProblem, compose
from dlscratch.errors import ConfigError

MAX_BYTES = 1_000_000
ZIP = b"PK\x03\x04"  # an .npz file's first bytes

KeyPath = tuple[str | int, ...]
Positions = dict[KeyPath, tuple["Position", "Position"]]


class Position(NamedTuple):
    """Where something was written; sorts as a reader reads: the file first, then each override (counted from 1)."""

    override: int
    line: int
    column: int


class Problem(NamedTuple):
    """One thing that is wrong at a path; `at_key` points at the key instead of its value."""

    path: KeyPath
    what: str
    at_key: bool = False


@dataclass(frozen=True)
class Document:
    """A config's plain values, and where each key and value stands; `overrides` are as written: `--set seed=1`."""

    name: str
    values: dict[str, Any]
    positions: Positions = field(default_factory=dict, repr=False)
    overrides: tuple[str, ...] = ()

    def position(self, path: KeyPath, *, at_key: bool = False) -> Position:
        """Position of the value (or key) at `path`, or of what holds it where the path itself is not written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                key, value = self.positions[path[:length]]
                return key if at_key and length == len(path) else value
        return Position(0, 1, 1)

    def where(self, path: KeyPath, *, at_key: bool = False) -> str:
        """`config.yaml:3:7`, or `--set training.epochs=3` for what an override wrote."""
        return self._text(self.position(path, at_key=at_key))

    def error(self, problems: Iterable[Problem]) -> ConfigError:
        """All problems in the order of the file, each `file:line:column: dotted.path: what`."""
        return self.error_at((self.position(path, at_key=at_key), path, what) for path, what, at_key in problems)

    def error_at(self, problems: Iterable[tuple[Position, KeyPath, str]]) -> ConfigError:
        """As `error`, for problems whose position is known."""
        ordered = sorted((at, dotted(path), what) for at, path, what in problems)
        return ConfigError(": ".join(filter(None, [self._text(at), path, what])) for at, path, what in ordered)

    def _text(self, at: Position) -> str:
        if at.override:
            return self.overrides[at.override - 1].replace("\n", "\\n")
        return f"{self.name}:{at.line}:{at.column}"


def dotted(path: KeyPath) -> str:
    """`("model", 2, "linear")` as `model[2].linear`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[^\s.\[\]=\"]+", part)
            text += ("." if text else "") + (part if plain else json.dumps(part, ensure_ascii=False))
    return text


def show(value: object) -> str:
    """A value as a message quotes it: JSON, cut at 40 characters."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"


def read(path: str | Path) -> Document:
    """Parse a file, or stdin for `-`."""
    name = "<stdin>" if str(path) == "-" else str(path)
    try:
        if name == "<stdin>":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise ConfigError([_no_config(path, "a run's folder") or f"{name}: cannot be read: {error.strerror}"]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError([f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    if data.startswith(ZIP):
        what = "a model or another .npz file"
        raise ConfigError([_no_config(Path(path).parent, what, name) or f"{name} is {what}, not a config"])
    if len(data) > MAX_BYTES:
        raise ConfigError([f"{name}: over {MAX_BYTES:,} bytes; a config is a short YAML file; is this the data?"])
    return parse(data, name)


def _no_config(folder: str | Path, what: str, name: str = "") -> str:
    """What to say of something in a run's folder, or of the folder; empty where no config.yaml lies in it."""
    own = Path(folder) / "config.yaml"
    return f"{name or folder} is {what}, not a config; its config is {own}" if own.is_file() else ""


def parse(text: str | bytes, name: str = "<text>") -> Document:
    """The document in `text`; a ConfigError lists every problem that one can read past, or the first other one."""
    if isinstance(text, bytes):
        text = _decoded(text, name)
    empty = Document(name, {})
    root = composed(text, empty)
    if root.value is None:
        raise empty.error([Problem((), "the file is empty; see `dlscratch init` for a first config")])
    if not isinstance(root.value, dict):
        got = "a list" if isinstance(root.value, list) else show(root.value)
        raise empty.error([Problem((), f"expected keys with values, such as `seed: 0`, got {got}")])
    positions: Positions = {}
    return Document(name, expanded(root, (), positions), positions)


def composed(text: str, document: Document, override: int = 0, path: KeyPath = ()) -> Node:
    """The tree of nodes in `text`, which is a file, or the value of one --set at `path`."""
    problems: list[SyntaxProblem] = []
    root = compose(text, problems)
    if problems:
        raise document.error_at((Position(override, *at), (*path, *inner), what) for at, inner, what in problems)
    return root


def expanded(node: Node, path: KeyPath, positions: Positions, override: int = 0, key: Place | None = None) -> Any:
    """Plain values with every alias written out, so that no two places share an object; enters the positions."""
    positions[path] = (Position(override, *(key or node.place)), Position(override, *node.place))
    if isinstance(node.value, list):
        return [expanded(item, (*path, index), positions, override) for index, item in enumerate(node.value)]
    if isinstance(node.value, dict):
        return {
            name: expanded(item, (*path, name), positions, override, place)
            for name, (place, item) in node.value.items()
        }  # fmt: skip
    return node.value


def to_yaml(values: dict[str, Any]) -> str:
    """YAML that `parse`, and any YAML 1.1 or 1.2 reader, turns back into equal values."""
    style: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "default_flow_style": None}
    return str(yaml.dump(values, Dumper=_Dumper, width=float("inf"), **style))


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 (PyYAML's own rules) or YAML 1.2 would not read as text."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Odd characters (such as U+0085, a line break to YAML) are escaped, which only double quotes can do."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([f"{name}:{line}:{column}: {what}"]) from None
