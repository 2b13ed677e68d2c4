"""A power failure keeps only what was synced: at no moment does it lose an epoch, or leave what a resume cannot use.

The disk is simulated: what is sure to be on it are the files as they were when they were last synced, under the names
that their folders had when these were last synced. It may also hold the newest names and sizes, and zeros for what was
not synced. `pytest --long` fails at every change of the disk, not at some.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults import CONFIG, left_by, lines_of, safe_epochs
from tiny_runs import project
from tiny_words import text

from dlscratch.config.build import build
from dlscratch.config.word2vec import Word2VecSettings
from dlscratch.runs import Run, word2vec
from dlscratch.runs import run as training
from dlscratch.runs.word2vec import Word2VecRun
from dlscratch.word2vec.options import RunOptions, Word2VecOptions

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it finds out what is synced by /proc")


class Disk:
    """What is sure to be on the disk below a folder, and pictures of it at moments of danger."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.kept = root, root.with_name("kept")
        self.names: dict[Path, dict[str, int]] = {root: {}}
        self.contents: dict[int, bytes] = {}  # by inode
        self.pictures: list[dict[str, bytes]] = []
        self.fsync = os.fsync
        self.kept.mkdir()
        patch.setattr(os, "fsync", self.sync)
        for name in ("replace", "unlink"):
            patch.setattr(os, name, self.before(getattr(os, name)))

    def sync(self, descriptor: int) -> None:
        self.take_pictures()
        self.fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self.names[path] = {each.name: each.stat().st_ino for each in path.iterdir()}
        elif self.root in path.parents:
            inode = path.stat().st_ino
            self.contents[inode] = path.read_bytes()
            if not (self.kept / str(inode)).exists():
                os.link(path, self.kept / str(inode))  # so that no other file gets its number

    def before(self, change: Callable[..., None]) -> Callable[..., None]:
        def changed(*args: Any, **options: Any) -> None:
            self.take_pictures()
            change(*args, **options)

        return changed

    def take_pictures(self) -> None:
        for picture in (self.sure(), self.newest()):
            if picture not in self.pictures:
                self.pictures.append(picture)

    def sure(self) -> dict[str, bytes]:
        """Names and contents as they were synced."""

        def below(folder: Path, path: str) -> Iterator[tuple[str, bytes]]:
            for name, inode in self.names.get(folder, {}).items():
                if folder / name in self.names or (folder / name).is_dir():
                    yield from below(folder / name, f"{path}{name}/")
                else:
                    yield path + name, self.contents.get(inode, b"")

        return dict(below(self.root, ""))

    def newest(self) -> dict[str, bytes]:
        """Names and sizes as they are now, contents as they were synced."""
        facts = {path: path.stat() for path in self.root.rglob("*") if path.is_file()}
        synced = {path: self.contents.get(fact.st_ino, b"") for path, fact in facts.items()}
        return {str(path.relative_to(self.root)): synced[path].ljust(facts[path].st_size, b"\0") for path in facts}


def restore(picture: dict[str, bytes], folder: Path) -> Path:
    """The folder of the run after a failure."""
    for name, contents in picture.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder / "runs" / "run"


def to_its_end(run: Any) -> None:
    for _ in run.train():
        pass
    run.finish()


def trainer(folder: Path) -> tuple[Callable[[Path], Any], Callable[[Path], Any], str]:
    """How to start and to resume a run, and its result."""
    config = project(folder, CONFIG.replace("EPOCHS", "4"))
    return lambda path: Run.start(build(config), path), lambda path: Run.resume(build(config), path), "best.npz"


def word_trainer(folder: Path) -> tuple[Callable[[Path], Any], Callable[[Path], Any], str]:
    (folder / "corpus.txt").write_text(text(150))
    options = replace(Word2VecOptions(), dim=8, epochs=3, min_count=2, sample=0, tokens_per_step=600)
    settings = Word2VecSettings((str(folder / "corpus.txt"),), options, RunOptions(threads=1))
    start, resume = Word2VecRun.start, Word2VecRun.resume
    return lambda path: start(settings, path), lambda path: resume(settings, path), "vectors.npz"


@pytest.fixture
def saving_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    for name, value in (("SAVE_SECONDS", 0.0), ("EPOCH_SECONDS", 0.0), ("SAVE_SHARE", 1e9)):
        monkeypatch.setattr(word2vec, name, value)


@pytest.mark.usefixtures("saving_often")
@pytest.mark.parametrize("make", [trainer, word_trainer])
def test_a_power_failure_at_any_moment(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool) -> None:
    start, resume, result = make(tmp_path)
    (tmp_path / "disk").mkdir()
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path / "disk", patch)
        run = start(disk.root / "runs" / "run")
        for number, _ in enumerate(run.train()):  # what the files tell at a record is sure
            assert lines_of(restore(disk.sure(), tmp_path / f"sure {number}")) == lines_of(run.folder.path)
        run.finish()
    whole, sure = left_by(run.folder.path, result), disk.sure()
    assert all(sure[f"runs/run/{name}"] == (run.folder.path / name).read_bytes() for name in whole["files"])
    pictures = disk.pictures if long else random.Random(0).sample(disk.pictures, 10)
    for number, picture in enumerate(pictures):
        folder = restore(picture, tmp_path / str(number))
        seen = lines_of(folder)
        assert seen == whole["metrics"][: len(seen)]
        assert safe_epochs(folder) >= len(seen)
        to_its_end((resume if (folder / "run.json").exists() else start)(folder))
        assert left_by(folder, result) == whole
    print(f"{len(pictures)} power failures, none lost an epoch or a bit")
