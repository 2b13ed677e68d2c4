"""The folder of a run: its config, facts, metrics, model or vectors, and state, each file whole at any moment.

Links in it are never written through (`follow=False`): the folder may be a stranger's, and lead to any file of ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch import backend, blas
from dlscratch._version import __version__
from dlscratch.checkpoint import make_folder, write_text
from dlscratch.errors import CheckpointError, OutputError, UsageError
from dlscratch.runs import records
from dlscratch.runs.records import finite

FILES = ("last.npz", "best.npz", "metrics.jsonl", "config.yaml", "run.json")
VECTORS = "vectors.npz"  # of a word2vec run, in the place of best.npz
BLACK_BOX = "blackbox.npz"  # of a run that diverged
PROFILE = "profile.json"  # of a run with --profile
MACHINE = ("dlscratch", "python", "numpy", "blas", "platform", "cpu", "processors")  # what run.json tells of it
ALL = (BLACK_BOX, PROFILE, VECTORS, *FILES)  # in the order in which they can go: run.json tells whose folder it is
_LOCKS: dict[int, int] = {}  # the folders (by inode) that this process has locked, and the open descriptors


class RunFolder:
    """The paths of a run's files, and how they are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last, self.best, self.metrics, self.config, self.run = (path / name for name in FILES)
        self.vectors, self.black_box, self.profile = path / VECTORS, path / BLACK_BOX, path / PROFILE

    @property
    def holds_a_run(self) -> bool:
        """Whether any of the files is there."""
        return any((self.path / name).exists() for name in ALL)

    def claim(self, *, force: bool) -> None:
        """Make the folder, empty of runs; UsageError if it holds one, unless it may be removed (`force`)."""
        self.check(force=force)
        try:
            make_folder(self.path)
            self.lock()
            self.clear()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be made a run's folder: {error.strerror}") from error

    def lock(self) -> None:
        """Keep other processes' runs out of the folder until this process ends; UsageError if one is in it."""
        folder = self.path.stat().st_ino
        if folder in _LOCKS:
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _LOCKS[folder] = descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise UsageError(f"{self.path}: another process is training here; wait for it, or choose --out") from None

    def check(self, *, force: bool) -> None:
        """UsageError if the folder holds a run, unless it may be removed (`force`).

        A config.yaml alone is no run but may be the only copy of what a person wrote: it is never removed.
        """
        if self.config.exists() and not (self.run.exists() or self.last.exists()):
            raise UsageError(f"{self.path} holds a config.yaml that is not of a run; choose another folder (--out)")
        if self.holds_a_run and not force:
            ways = "go on with it (--resume), replace it (--force), or choose another folder (--out)"
            raise UsageError(f"{self.path} holds a run; {ways}")

    def clear(self) -> None:
        """Remove the run's files."""
        for name in ALL:
            (self.path / name).unlink(missing_ok=True)
        self.sweep()

    def remove(self) -> None:
        """Remove the run, and the folder unless something else lies in it."""
        self.claim(force=True)
        os.close(_LOCKS.pop(self.path.stat().st_ino))  # the next folder may get the same inode
        with suppress(OSError):
            self.path.rmdir()

    def sweep(self, *names: str) -> None:
        """Remove what a process left that was killed while it wrote one of the files, or one of these."""
        for name in (*ALL, *names):
            for rest in self.path.glob(f".{name}.*.tmp"):
                rest.unlink(missing_ok=True)

    def write_run(self, facts: Mapping[str, Any]) -> None:
        """Write run.json."""
        write_json(self.run, facts)

    def write_profile(self, document: Mapping[str, Any]) -> None:
        """Write profile.json."""
        write_json(self.profile, document)

    def read_run(self) -> dict[str, Any]:
        """run.json, or an empty dict where there is none; CheckpointError if it is damaged."""
        return records.read_run(self.run)

    def digests(self, *names: str) -> dict[str, str]:
        """The SHA-256 of those of the files that are there."""
        return {name: file_digest(self.path / name) for name in names if (self.path / name).exists()}

    def append_metrics(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Add lines to metrics.jsonl and sync it; OutputError if the disk is full."""
        try:
            with open(self.metrics, "a", encoding="utf-8", opener=_not_through_links) as file:
                file.writelines(map(_line, lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{self.metrics}: cannot be written: {error.strerror}") from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, up to one that was cut off while it was written; CheckpointError: damaged."""
        return records.read_metrics(self.metrics)

    def rewind_metrics(self, epochs: int, unwritten: Iterable[Mapping[str, Any]] = ()) -> None:
        """Keep the lines of the first `epochs` epochs, with those that were still to be written; others come again."""
        found = (line for line in (*unwritten, *self.read_metrics()) if isinstance(line.get("epoch"), int))
        lines = {line["epoch"]: line for line in found if line["epoch"] <= epochs}
        text = "".join(map(_line, (lines[epoch] for epoch in sorted(lines))))
        write_text(self.metrics, text, follow=False)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, atomically."""
    write_text(path, json.dumps(finite(document), indent=2, ensure_ascii=False) + "\n", follow=False)


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _line(facts: Mapping[str, Any]) -> str:
    return json.dumps(finite(facts), ensure_ascii=False) + "\n"


def file_digest(path: Path) -> str:
    """The SHA-256 of a file as it lies on the disk; CheckpointError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error


def clock(seconds: float) -> str:
    """A time as run.json holds it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def environment() -> dict[str, Any]:
    """What a result may depend on besides config and data (MACHINE), and the command."""
    program = Path(sys.argv[0]).name
    return {
        "dlscratch": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": blas.description(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "processors": backend.cpu_count(),
        "command": shlex.join(["dlscratch" if program == "__main__.py" else program, *sys.argv[1:]]),
    }


def _cpu() -> str:
    """The processor's name, where the system tells it: BLAS chooses its kernels, and so its rounding, by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
