"""The metrics of several runs, by names that tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlscratch.errors import UsageError
from dlscratch.runs.folder import RunFolder


def metrics_of(folders: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """The lines of each run's metrics.jsonl. UsageError: no run there, or no epoch has ended yet."""
    names = Counter(folder.resolve().name for folder in folders)
    runs = {}
    for folder in folders:
        lines = RunFolder(folder).read_metrics()
        if not lines:
            what = "no epoch has ended yet" if RunFolder(folder).holds_a_run else "there is no run in this folder"
            raise UsageError(f"{folder}: {what}")
        name = folder.resolve().name
        runs[name if names[name] == 1 else str(folder)] = lines
    return runs
