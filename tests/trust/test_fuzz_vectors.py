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
COUNTS = {"npz": 300, "word2vec": 300, "word2vec-binary": 300, "glove": 300, "projector": 100, "npy": 100}
zipped = partial(gzip.compress, mtime=0)


def test_every_format_is_here() -> None:
    assert FILES.keys() == COUNTS.keys() == FORMATS.keys()


CASES = [(name, part, "") for name, (_, parts) in FILES.items() for part in parts]
CASES += [(name, FILES[name][0], ".gz") for name in ("word2vec", "word2vec-binary", "glove")]


@pytest.mark.parametrize(("format", "part", "packed"), CASES)
def test_mutated_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, part: str, packed: str, long: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    name, codes = FILES[format][0], []
    write(name, PLAIN if format in ("glove", "word2vec-binary") else TABLE)
    good = (tmp_path / part).read_bytes()
    inside = mutated(good, head=12)

    @tried(COUNTS[format] if long else 10, inside.map(zipped) | mutated(zipped(good)) if packed else inside)
    def _(data: bytes) -> None:
        (tmp_path / f"{part}{packed}").write_bytes(data)
        for args in COMMANDS:
            ending = command(*(f"{name}{packed}" if arg == "FILE" else arg for arg in args))
            judge(ending, {2, 3, 5})
            codes.append(ending.code)

    print(f"{part}{packed}", {code: codes.count(code) for code in sorted(set(codes))})
    assert not long or set(codes) > {0}
