"""What a run's folder says of itself, run.json and metrics.jsonl: every field is of the type that it must have.

A folder may be damaged, or a stranger's. Whoever takes these facts further relies on their types, and checks no more.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dlscratch.errors import CheckpointError
from dlscratch.nn.fields import check_fields

PARTS = ("test", "validation", "train")
MOST_DIGITS = 40  # of a whole number; more are read as a float, so that every number can become one

TEXTS = ("dlscratch", "python", "numpy", "blas", "platform", "cpu", "command", "status", "finished", "error", "kind")
RUN: dict[str, Any] = {
    **dict.fromkeys(TEXTS, str),
    **dict.fromkeys(("config", "data", "options", "result", "sha256"), dict),
    **dict.fromkeys(("processors", "seed"), int),
    "started": str | None,
    "resumed": list[str],
    "seconds": float | dict,
}
LINE: dict[str, Any] = {"step": int, "best": bool}  # besides the epoch and the numbers


def read_run(path: Path) -> dict[str, Any]:
    """A run.json; empty where there is none. CheckpointError: it cannot be read, or a field is of another type."""
    data = _read(path)
    if data is None:
        return {}
    try:
        facts = _parsed(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    check_fields(facts, f"{path}", {}, RUN)
    stored = facts.get("data", {})
    check_fields(stored, f"{path}: data", {}, {"files": dict, "rows": dict})
    for name, hint in {"files": str, "rows": int}.items():
        inner = stored.get(name, {})
        check_fields(inner, f"{path}: data.{name}", {}, dict.fromkeys(inner, hint))
    return dict(facts)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, up to one that was cut off while it was written.

    CheckpointError where others follow it, where a line has no epoch, or a value that is not of the type of the first
    one of its name.
    """
    lines = []
    texts = (_read(path) or b"").split(b"\n")
    for number, text in enumerate(texts, start=1):
        try:
            lines.append(_parsed(text))
        except (ValueError, RecursionError) as error:
            if any(texts[number:]):
                advice = "put it right, or remove it and all that follow, to do without these epochs"
                raise CheckpointError(f"{path}:{number}: this line is damaged; {advice}") from error
            break
    hints = LINE | _hints(line for line in lines if isinstance(line, dict))
    for number, line in enumerate(lines, start=1):
        check_fields(line, f"{path}:{number}", {"epoch": int}, hints)
    return lines


def _hints(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The type of each name's values: numbers, but where the first one is a list or a truth; null stands for NaN."""
    first: dict[str, Any] = {}
    for line in lines:
        first = {name: value for name, value in line.items() if value is not None} | first
    kinds = {name: type(value) for name, value in first.items() if name not in (*LINE, "epoch")}
    return {name: (kind if kind in (list, bool) else float) | None for name, kind in kinds.items()}


def _read(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to read a pipe could take for ever
            raise CheckpointError(f"{path}: expected a file, got a folder, a device or a pipe")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parsed(data: bytes) -> Any:
    """A JSON document. What no JSON should hold, NaN and infinities, is null here as in what runs write."""
    return finite(json.loads(data.decode(), parse_int=_whole))


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def finite(value: Any) -> Any:
    """A document as JSON can hold it: NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
