"""Runs that are killed with SIGKILL at a moment or at a write, and the files that they leave, for tests to compare."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_runs import ENVIRONMENT, FLOWERS, arrays_of, project
from tiny_words import text

from dlscratch import checkpoint

CLOCKS = ("seconds", "words_per_second")  # what two equal runs may differ in

# The command line, which saves whenever it can, and kills itself at the n-th time that it changes anything on the disk:
# of a write the first half is done. With 0 it goes through, and says how many times that was.
AT_A_WRITE = """
import atexit, builtins, io, os, signal, sys
import dlscratch.__main__
fuse, count = int(sys.argv.pop(1)), 0

def change(first=lambda: None):
    global count
    count += 1
    if count == fuse:
        first()
        os.kill(os.getpid(), signal.SIGKILL)

class Disk(io.FileIO):
    def write(self, data):
        change(lambda: io.FileIO.write(self, bytes(data)[: len(data) // 2]))
        return io.FileIO.write(self, data)

plain = open

def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    if isinstance(file, int) or not set(mode) & set("wxa"):
        return plain(file, mode, buffering, encoding, errors, newline, closefd, opener)
    writer = io.BufferedWriter(Disk(file, mode.replace("b", ""), closefd, opener))
    return writer if "b" in mode else io.TextIOWrapper(writer, encoding, errors, newline)

def counted(function):
    return lambda *args, **options: (change(), function(*args, **options))[1]

builtins.open = io.open = opened
for name in ("fsync", "replace", "unlink", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
if sys.argv[1] == "train":
    import dlscratch.runs.run as runs
else:
    import dlscratch.runs.word2vec as runs
    runs.EPOCH_SECONDS, runs.SAVE_SHARE = 0, 1e9
runs.SAVE_SECONDS = 0
if not fuse:
    atexit.register(lambda: print(count))
dlscratch.__main__.main()
"""

MORE = "epochs: EPOCHS, early_stopping: {patience: 25}, checkpoint_every: {steps: 3}"
CONFIG = FLOWERS.replace("epochs: 3", MORE) + "schedule: {cosine: {warmup: 3, unit: step}}\n"


@dataclass(frozen=True)
class Command:
    """A command that trains in a folder `run`: its arguments, its settings, and the name of its result."""

    args: tuple[str, ...]
    result: str

    def start(self, folder: Path, *, fuse: int | None = None, resume: bool = False) -> subprocess.Popen[str]:
        """The command under way in the folder; with a fuse in the place where it kills itself."""
        head = ["-m", "dlscratch"] if fuse is None else ["-c", AT_A_WRITE, str(fuse)]
        more = ["--resume"] if resume else []
        return subprocess.Popen(
            [sys.executable, *head, *self.args, "--out", "run", "--quiet", *more],
            cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, folder: Path, *, fuse: int | None = None, resume: bool = False) -> str:
        """The command to its end; what it said."""
        process = self.start(folder, fuse=fuse, resume=resume)
        said, errors = process.communicate(timeout=110)
        assert process.returncode == 0, errors
        return said

    def killed(self, folder: Path, *, resume: bool, after: float | None = None, fuse: int | None = None) -> bool:
        """The command, killed after some seconds or by its fuse; False where it was done before."""
        process = self.start(folder, fuse=fuse, resume=resume)
        if after is not None:
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=110)
        assert process.returncode in (0, -signal.SIGKILL), errors
        return process.returncode != 0


def train_command(folder: Path, epochs: int) -> Command:
    """`dlscratch train` in a folder that is made for it: dropout, batch norm, Adam, a schedule and early stopping."""
    project(folder, CONFIG.replace("EPOCHS", str(epochs)))
    return Command(("train", "flowers.yaml"), "best.npz")


def words_command(folder: Path, epochs: int) -> Command:
    """`dlscratch word2vec` in a folder that is made for it, on two threads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.txt").write_text(text())
    options = {"dim": 8, "epochs": epochs, "min-count": 2, "sample": 0, "tokens-per-step": 1200, "threads": 2}
    return Command(("word2vec", "corpus.txt", *(f"--{name}={value}" for name, value in options.items())), "vectors.npz")


def lines_of(run: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics.jsonl, without what a clock says."""
    path = run / "metrics.jsonl"
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [{key: value for key, value in json.loads(line).items() if key not in CLOCKS} for line in whole]


def left_by(run: Path, result: str) -> dict[str, Any]:
    """What a finished run leaves, as far as two of them must agree."""
    last = run / "last.npz"
    left = {"files": sorted(os.listdir(run)), "metrics": lines_of(run), "result": (run / result).read_bytes()}
    left["said"] = json.loads((run / "run.json").read_text())["result"]
    if last.exists():
        metadata = checkpoint.load_metadata(last)
        state = {key: value for key, value in metadata["state"].items() if "seconds" not in key}
        left |= {"arrays": arrays_of(last), "state": state, "training": metadata["training"]}
    return left


def safe_epochs(run: Path) -> int:
    """How many epochs a resume need not do again; an error if a file that is there is not whole."""
    for name in ("run.json", "config.yaml"):
        assert not (run / name).exists() or (run / name).read_text().endswith("\n")
    facts = {path.name: checkpoint.load(path)[1] for path in run.glob("[a-z]*.npz")}
    if "vectors.npz" in facts:  # the end of a word2vec run
        return int(facts["vectors.npz"]["options"]["epochs"])
    last = facts.get("last.npz", {"epoch": 0})
    return int(last.get("state", last)["epoch"])
