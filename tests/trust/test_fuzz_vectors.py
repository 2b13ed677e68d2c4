"""Mutated files of word vectors, in every format: used, or refused with the place; in bounded time and memory."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hostile import command, judge, mutated, tried

from dlscratch.word2vec.formats import FORMATS, Table, write

WORDS = ["ab", "Gold", "naïve", "日本", "two words", "x'y", "-", "42", *(f"w{number}" for number in range(30))]
TABLE = Table(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32), counts=np.arange(38) + 1)
PLAIN = Table([word.replace(" ", "_") for word in WORDS], TABLE.vectors)  # where a space ends a word

# The file that is written, and which of its parts is mutated.
FILES = {
    "npz": ("v.npz", ("v.npz",)),
    "word2vec": ("v.txt", ("v.txt",)),
    "word2vec-binary": ("v.bin", ("v.bin",)),
    "glove": ("v.glove", ("v.glove",)),
    "projector": ("v/", ("v/vectors.tsv", "v/metadata.tsv", "v/projector_config.pbtxt")),
    "npy": ("v.npy", ("v.npy", "v.words.txt")),
}
COMMANDS = (
    ("vectors", "nearest", "FILE", "ab"),
    ("vectors", "export", "FILE", "--to", "out.npz"),
    ("vectors", "export", "FILE", "--to", "out.glove", "--errors", "replace"),
    ("vectors", "map", "FILE", "--out", "map.json", "--clusters", "2"),
)
COUNTS = {"npz": 300, "word2vec": 400, "word2vec-binary": 400, "glove": 300, "projector": 200, "npy": 200}


def test_every_format_is_here() -> None:
    assert FILES.keys() == COUNTS.keys() == FORMATS.keys()


@pytest.mark.parametrize(("format", "packed"), [*((name, False) for name in FILES), ("word2vec", True), ("glove", True)])
def test_mutated_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, packed: bool, long: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    name, parts = FILES[format]
    codes: list[int] = []
    zipped = partial(gzip.compress, mtime=0)
    for part in parts:
        write(name, PLAIN if format in ("glove", "word2vec-binary") else TABLE)
        good = (tmp_path / part).read_bytes()
        cases = mutated(good, head=12).map(zipped) | mutated(zipped(good)) if packed else mutated(good, head=12)

        @tried(COUNTS[format] if long else 12, cases)
        def _(data: bytes, part: str = part) -> None:
            file = tmp_path / (f"{part}.gz" if packed else part)
            file.write_bytes(data)
            for args in COMMANDS:
                ending = command(*(f"{name}{'.gz' * packed}" if arg == "FILE" else arg for arg in args))
                judge(ending, {2, 3, 5})
                codes.append(ending.code)

    print(name, {code: codes.count(code) for code in sorted(set(codes))})
    assert set(codes) & {3, 5}
