"""The metrics of several runs, by names that tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlscratch.errors import UsageError
from dlscratch.runs.places import run_at, unfinished


def metrics_of(paths: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """The lines of each run's metrics.jsonl; paths as `run_at` takes them. UsageError: no run, or no epoch of it."""
    found = [run_at(path) for path in paths]
    names = Counter(folder.path.resolve().name for folder in found)
    runs = {}
    for folder in found:
        lines = folder.read_metrics()
        if not lines:
            raise UsageError(f"{folder.path}: {unfinished(folder)}")
        name = folder.path.resolve().name
        runs[name if names[name] == 1 else str(folder.path)] = lines
    return runs
