"""Mutated data: CSV, IDX, NPZ, text. Each is used, or refused with the place; in bounded time and memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hostile import command, judge, mutated, tried
from hypothesis import strategies as st
from tiny_runs import FLOWERS, flowers, project, train
from tiny_words import text

zipped = partial(gzip.compress, mtime=0)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def npz(save: Callable[..., None], **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


RNG = np.random.default_rng(0)
IMAGES, LABELS = idx(RNG.integers(0, 256, (30, 4, 4))), idx(np.arange(30) % 3)
ROWS = {"x": RNG.normal(size=(30, 3)).astype(np.float32), "y": np.arange(30) % 2}
QUOTED = 'name,"size ""cm""",kind\n' + "".join(f'"a, {n}",{n},"{("x", "y")[n % 2]}\n{n % 2}"\n' for n in range(30))
GERMAN = flowers().replace(",", ";").replace(".", ",").replace("colour", "Größe").encode("latin-1")
NUMBERS = "a,b,kind\n" + "".join(f"{n},{n * n / 7},{n % 2}\n" for n in range(40))
CSV = (flowers().encode(), QUOTED.encode(), GERMAN, NUMBERS.encode(), flowers().encode("utf-16"))
TEXT = (text(20) + "Wait... “What?!” he said – naïve l'été. 日本語。\n\n").encode()

MODEL = "model: [flatten, {linear: {out_features: 3}}]\noptimizer: {sgd: {lr: 0.1}}\n"
CONFIGS = {
    "csv.yaml": f"data: {{csv: {{path: data.csv, target: species, missing_target: drop}}}}\n{MODEL}",
    "gz.yaml": f"data: {{csv: {{path: data.csv.gz, target: species, encoding: utf-16}}}}\n{MODEL}",
    "idx.yaml": f"data: {{idx: {{images: images, labels: labels}}}}\n{MODEL}",
    "idx_gz.yaml": f"data: {{idx: {{images: images.gz, labels: labels}}}}\n{MODEL}",
    "npz.yaml": f"data: {{npz: {{path: data.npz}}}}\n{MODEL}".replace("3}", "2}"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configs for all data, and a model."""
    folder = tmp_path_factory.mktemp("data")
    train(project(folder, FLOWERS), folder / "run", "training.epochs=1")
    for name, config in CONFIGS.items():
        (folder / name).write_text(config)
    for name, data in {"images": IMAGES, "labels": LABELS, "images.gz": zipped(IMAGES)}.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def _inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def endings(path: Path, examples: int, cases: st.SearchStrategy[bytes], *commands: tuple[str, ...]) -> None:
    """Put the bytes of each case into a file and run the commands on it."""
    codes: list[int] = []

    @tried(examples, cases)
    def _(data: bytes) -> None:
        path.write_bytes(data)
        for args in commands:
            ending = command(*(path.name if arg == "FILE" else arg for arg in args))
            judge(ending, {2, 3, 5})
            codes.append(ending.code)

    print(path.name, {code: codes.count(code) for code in sorted(set(codes))})
    assert examples < 100 or set(codes) > {0}


LOOK = ("init", "FILE", "-o", "-", "--target")


def test_csv(folder: Path, long: bool) -> None:
    uses = [("check", "csv.yaml"), ("predict", "run/best.npz", "FILE"), ("evaluate", "run/best.npz", "FILE")]
    looks = [(*LOOK, "species"), (*LOOK, "kind")]
    endings(folder / "data.csv", 2000 if long else 30, mutated(*CSV, head=60), *looks, *uses)


def test_packed_csv(folder: Path, long: bool) -> None:
    cases = mutated(*map(zipped, CSV)) | mutated(CSV[-1]).map(zipped)
    endings(folder / "data.csv.gz", 500 if long else 20, cases, ("check", "gz.yaml"), (*LOOK, "species"))


def test_idx(folder: Path, long: bool) -> None:
    check = ("check", "idx.yaml")
    endings(folder / "images", 1000 if long else 30, mutated(IMAGES, head=16), check, (*LOOK, "labels"))
    (folder / "images").write_bytes(IMAGES)
    endings(folder / "labels", 500 if long else 20, mutated(LABELS, head=8), check)
    (folder / "labels").write_bytes(LABELS)
    packed = mutated(IMAGES, head=16).map(zipped) | mutated(zipped(IMAGES))
    endings(folder / "images.gz", 500 if long else 20, packed, ("check", "idx_gz.yaml"))


def test_npz(folder: Path, long: bool) -> None:
    good = [npz(save, **ROWS) for save in (np.savez, np.savez_compressed)]
    commands = [("check", "npz.yaml"), LOOK[:-1], ("inspect", "FILE")]
    endings(folder / "data.npz", 2000 if long else 40, mutated(*good), *commands)


@pytest.mark.parametrize("pack", [bytes, zipped, bz2.compress, lzma.compress])
def test_text(folder: Path, long: bool, pack: Callable[[bytes], bytes]) -> None:
    plan = ("word2vec", "FILE", "--plan", "--dim", "4", "--min-count", "1", "-q")
    other = ("--sentences", "punctuation", "--tokenizer", "whitespace", "--errors", "replace")
    cases = mutated(TEXT).map(pack) | mutated(pack(TEXT))
    endings(folder / "text", 500 if long else 10, cases, (*plan, "--sentences", "punctuation"), (*plan, *other))
