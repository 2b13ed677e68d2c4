"""kill -9 at any moment, also in the middle of a write: no epoch is lost, and a resume ends with the same bits.

`pytest --long -rP tests/trust/test_kill.py` does it to each command 50 times after a random time and 50 times at a
random change of the disk, and tells when.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults import CONFIG, Command, left_by, lines_of, safe_epochs, train_command, words_command
from tiny_runs import project, train, train_until

from dlscratch.config.build import build
from dlscratch.errors import UsageError
from dlscratch.runs import Run

COMMANDS: dict[str, Callable[..., Command]] = {"train": train_command, "word2vec": words_command}


@dataclass(frozen=True)
class Whole:
    """A run without an interruption: what it leaves, how long it takes, how often it changes the disk."""

    make: Callable[[Path], Command]
    left: dict[str, Any]
    seconds: float
    changes: int


@pytest.fixture(scope="module", params=list(COMMANDS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    make = partial(COMMANDS[request.param], epochs=60 if request.config.getoption("--long") else 12)
    plain, counted = (tmp_path_factory.mktemp(name) for name in ("plain", "counted"))
    command = make(plain)
    begin = time.monotonic()
    command.finish(plain)
    seconds = time.monotonic() - begin
    changes = int(make(counted).finish(counted, fuse=0).splitlines()[-1])
    left = left_by(plain / "run", command.result)
    assert left_by(counted / "run", command.result) == left  # saving more often changes nothing
    return Whole(make, left, seconds, changes)


def survive(whole: Whole, folder: Path, kills: list[dict[str, Any]]) -> int:
    """Kill a run again and again, look at what is left each time, and resume it; how many kills were not too late."""
    command, run, hits = whole.make(folder), folder / "run", 0
    for kill in kills:
        hits += command.killed(folder, **kill, resume=(run / "run.json").exists())
        seen = lines_of(run)
        assert seen == whole.left["metrics"][: len(seen)]
        assert safe_epochs(run) >= len(seen)
    command.finish(folder, resume=(run / "run.json").exists())
    assert left_by(run, command.result) == whole.left
    return hits


def survive_all(whole: Whole, folder: Path, count: int, draw: Callable[[], dict[str, Any]], rng: random.Random) -> None:
    """Runs that are killed once or twice each, until so many kills were not too late."""
    hits = runs = 0
    while hits < count:
        kills = [draw() for _ in range(rng.choice((1, 1, 2)))]
        print(kills)
        hits, runs = hits + survive(whole, folder / str(runs), kills), runs + 1
    print(f"{runs} runs, {hits} kills, none lost an epoch or a bit")


def test_killed_after_a_random_time(whole: Whole, tmp_path: Path, long: bool) -> None:
    rng = random.Random(0)
    survive_all(whole, tmp_path, 50 if long else 1, lambda: {"after": rng.uniform(0, whole.seconds)}, rng)


def test_killed_at_a_random_write(whole: Whole, tmp_path: Path, long: bool) -> None:
    rng = random.Random(1)
    survive_all(whole, tmp_path, 50 if long else 2, lambda: {"fuse": rng.randint(1, whole.changes)}, rng)


@pytest.mark.parametrize("removed", range(5))
def test_killed_while_an_older_run_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int) -> None:
    """What is left of the older run must not be taken for a part of the new one."""
    config, run = project(tmp_path, CONFIG.replace("EPOCHS", "3")), tmp_path / "run"
    train(config, tmp_path / "whole")
    train_until(Run.start(build(config), run), 12)
    shutil.copy(run / "last.npz", run / "vectors.npz")  # one file more
    remove, left = os.unlink, iter(range(removed))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda path: sys.exit() if next(left, None) is None else remove(path))
        with pytest.raises(SystemExit):
            Run.start(build(config), run, force=True)
    try:
        again = Run.resume(build(config), run)
    except UsageError:
        again = Run.start(build(config), run, force=True)
    for _ in again.train():
        pass
    again.finish()
    assert lines_of(run) == lines_of(tmp_path / "whole")
    assert (run / "best.npz").read_bytes() == (tmp_path / "whole" / "best.npz").read_bytes()
