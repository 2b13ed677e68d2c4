"""Damaged files: a byte flipped, a file cut, a disk that is full. Nothing wrong passes for right, and nothing is lost.

`pytest --long tests/trust/test_damage.py` tries 2,000 damages of each kind of file and a full disk at every write.
"""

from __future__ import annotations

import errno
import io
import json
import os
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from hostile import Ending, command, limits
from tiny_runs import arrays_of, project, train
from tiny_words import text

from dlscratch import checkpoint
from dlscratch.errors import CheckpointError
from dlscratch.runs import TrainedModel
from dlscratch.word2vec.encoding import load
from dlscratch.word2vec.vectors import WordVectors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of train, with a state to resume, and one of word2vec."""
    folder = tmp_path_factory.mktemp("whole")
    train(project(folder), folder / "run", "training.epochs=1")
    (folder / "text.txt").write_text(text(60))
    words = ("word2vec", folder / "text.txt", "--out", folder / "words", "--dim", "6", "--epochs", "1", "-q")
    assert command(*words).code == 0
    for name in ("old.csv", "old.npz", "old.html"):  # which are to be replaced
        shutil.copy(folder / "run" / "best.npz", folder / name)
    return folder


# Flips and cuts


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """The file with one thing wrong, as disks, networks and interrupted copies make it."""
    data = bytearray(whole)
    at = rng.choice([rng.randrange(len(data)), rng.randrange(600), len(data) - rng.randrange(1, 900)])
    kind = rng.randrange(8)
    if kind < 3:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 3:
        data[at] = (data[at] + rng.randrange(1, 256)) % 256
    elif kind == 4:
        del data[at:]
    elif kind == 5:  # a sector that was never written
        at = at // 512 * 512
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif kind == 6:
        del data[at : at + rng.randrange(1, 9)]
    else:
        data[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data)


Contents = tuple[dict[str, Any], dict[str, Any]]


def same(a: Contents, b: Contents) -> bool:
    """Whether arrays, to the bit, and metadata are the same."""
    bits = [[(name, x.dtype, x.shape, x.tobytes()) for name, x in arrays.items()] for arrays, _ in (a, b)]
    return bits[0] == bits[1] and a[1] == b[1]


READERS: dict[str, Callable[[Path], object]] = {
    "run/best.npz": TrainedModel.load,
    "run/last.npz": checkpoint.load,
    "words/vectors.npz": WordVectors.load,
}


NAMED = re.compile(r"(array|member) ['\"]|metadata|at its beginning|expected an \.npz file, got")


@pytest.mark.parametrize("name", READERS)
def test_every_damage_is_refused_by_name_or_harmless(folder: Path, tmp_path: Path, name: str, long: bool) -> None:
    whole, expected = (folder / name).read_bytes(), checkpoint.load(folder / name)
    path, rng, messages, harmless = tmp_path / "damaged.npz", random.Random(name), [], 0
    for _ in range(2000 if long else 150):
        path.write_bytes(damaged(whole, rng))
        try:
            with limits():
                READERS[name](path)
                found = checkpoint.load(path)
        except CheckpointError as error:
            messages.append(str(error))
        else:
            assert same(found, expected)
            harmless += 1
    assert not [each for each in messages if not each.startswith(f"{path}: ") or not NAMED.search(each)]
    print(f"{name}: {len(messages)} refused, {harmless} harmless")
    assert len(messages) > 5 * harmless > 0


@pytest.mark.parametrize("name", ["run/best.npz", "words/vectors.npz"])
def test_the_array_that_is_hurt_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    whole, path, rng = (folder / name).read_bytes(), tmp_path / "damaged.npz", random.Random(0)
    with zipfile.ZipFile(folder / name) as archive:
        members = archive.infolist()
    for member in members:
        start = whole.index(b"\x93NUMPY", member.header_offset)
        for kind in range(6):
            data, at = bytearray(whole), start + rng.randrange(member.file_size)
            if kind % 2:
                data[at] ^= 1 << kind
            else:
                del data[at:]
            path.write_bytes(data)
            with pytest.raises(CheckpointError, match=re.escape(repr(member.filename.removesuffix(".npy")))):
                READERS[name](path)


def test_as_processes(folder: Path, tmp_path: Path, cli: Cli, long: bool) -> None:
    rng = random.Random(1)
    commands = {
        "run/best.npz": ["predict", "damaged.npz", folder / "flowers.csv", "-o", "said.csv"],
        "words/vectors.npz": ["vectors", "export", "damaged.npz", "--to", "said.vec"],
    }
    for name, args in [*commands.items()] * (20 if long else 1):
        data = bytearray((folder / name).read_bytes())
        data[data.index(b'"format"') + rng.randrange(500)] ^= 255  # in the metadata
        (tmp_path / "damaged.npz").write_bytes(data)
        done = cli(*args, cwd=tmp_path)
        assert (done.returncode, done.stdout, os.listdir(tmp_path)) == (5, "", ["damaged.npz"]), done.stderr
        assert re.match(r"error: damaged\.npz: .*\n\Z", done.stderr)


# A disk that is full

class FullDisk:
    """A disk on which the n-th change and all after it fail; of what is then to be written half still fits."""

    def __init__(self, patch: pytest.MonkeyPatch, full_at: int) -> None:
        self.count, self.full_at = 0, full_at
        self.open = open
        patch.setattr("builtins.open", self.opened)
        patch.setattr("io.open", self.opened)
        for name in ("fsync", "replace", "mkdir"):
            patch.setattr(os, name, self.changing(getattr(os, name)))

    @property
    def full(self) -> bool:
        """Whether there was a change that failed."""
        return self.count >= self.full_at

    def change(self) -> None:
        self.count += 1
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def changing(self, function: Callable[..., None]) -> Callable[..., None]:
        def changed(*args: Any, **options: Any) -> None:
            self.change()
            function(*args, **options)

        return changed

    def opened(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wxa"):
            return self.open(file, mode, *args, **options)
        self.change()
        disk = self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                try:
                    disk.change()
                except OSError:
                    super().write(bytes(data)[: len(data) // 2])
                    raise
                return super().write(data)

        writer = io.BufferedWriter(File(file, mode.replace("b", "")))
        return writer if "b" in mode else io.TextIOWrapper(writer, encoding=options.get("encoding"))


OVERWRITING: dict[str, tuple[str, ...]] = {
    "train": ("train", "flowers.yaml", "--out", "run", "--resume", "--set", "training.epochs=3", "-q"),
    "word2vec": ("word2vec", "text.txt", "--out", "new/words", "--dim", "6", "--epochs", "2", "-q"),
    "predict": ("predict", "run/best.npz", "flowers.csv", "-o", "old.csv"),
    "export": ("vectors", "export", "words/vectors.npz", "--to", "old.npz"),
    "init": ("init", "flowers.csv", "--target", "species", "-o", "flowers.yaml", "--force"),
    "report": ("report", "run", "-o", "old.html"),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


RESULTS = {"train": "run/last.npz", "word2vec": "new/words/vectors.npz"}  # of the commands that can be resumed


def on_disk(place: Path, name: str, full_at: int, *more: str) -> tuple[Ending, FullDisk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        disk = FullDisk(patch, full_at)
        return command(*OVERWRITING[name], *more), disk


def is_whole(place: Path, path: str, old: bytes | None, new: bytes | None) -> bool:
    """Whether a file is what it was before, or a whole new one."""
    content = (place / path).read_bytes() if (place / path).exists() else None
    if content == old or path.endswith("metrics.jsonl"):  # lines are added to it: the last one need not be whole
        return content is not None and content.startswith(old or b"")
    if path.endswith("corpus.ids"):  # without corpus.npz it is known to be unfinished
        return not (place / path).with_suffix(".npz").exists() or load((place / path).parent) is not None
    if path.endswith(".npz"):
        return bool(checkpoint.load(place / path))
    return bool(json.loads(content or b"")) if path.endswith(".json") else content == new


@pytest.mark.parametrize("name", OVERWRITING)
def test_a_disk_that_is_full_at_any_write(folder: Path, tmp_path: Path, name: str, long: bool) -> None:
    shutil.copytree(folder, tmp_path / "good")
    ending, disk = on_disk(tmp_path / "good", name, 10**6)
    assert ending.code == 0, ending
    before, good, last = contents(folder), contents(tmp_path / "good"), disk.count
    for full_at in range(1, last + 1) if long else {1, 2, last // 2, last - 1, last}:
        place = shutil.copytree(folder, tmp_path / f"full at {full_at}")
        ending, disk = on_disk(place, name, full_at)
        assert (ending.code, ending.out, disk.count >= full_at) == (6, "", True), (full_at, ending)
        assert re.search(r"cannot be (written|made a run's folder): No space left on device", ending.err)
        for path in {**before, **contents(place)}:
            assert not path.endswith(".tmp")
            assert is_whole(place, path, before.get(path), good.get(path)), (full_at, path)
        if name in RESULTS:
            again = "--resume" if (place / RESULTS[name]).with_name("run.json").exists() else "--force"
            assert on_disk(place, name, 10**6, again)[0].code == 0
            assert arrays_of(place / RESULTS[name]) == arrays_of(tmp_path / "good" / RESULTS[name])
    print(name, last, "changes of the disk")
