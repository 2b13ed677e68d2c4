"""Damaged files of word vectors: each is refused with the place and what was expected."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlscratch import checkpoint
from dlscratch.errors import CheckpointError, DataError, DlscratchError
from dlscratch.word2vec.formats import Table, read, write
from dlscratch.word2vec.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden" / "gensim_vectors"
ENDINGS = {"word2vec": ".txt", "word2vec-binary": ".bin", "glove": ".glove", "npy": ".npy"}


def table(words: list[str], dim: int = 3) -> Table:
    return Table(words, np.random.default_rng(0).normal(size=(len(words), dim)).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", b"2 2\na 1 2\nb 1\n", r"v.txt:3: expected a word and 2 numbers, got 2 fields"),
        ("v.txt", b"2 2\na 1 2\nb 1 x\n", r'v.txt:3: expected 2 numbers, got "1 x"'),
        ("v.txt", b"2 2\na 1 2\nb 1  2\n", r"v.txt:3: expected 2 numbers, got 1"),
        ("v.txt", b"2 2\na 1 2\nb 1 2 3,\n", r'v.txt:3: expected 2 numbers, got "2 3,"'),
        ("v.txt", b"3 2\na 1 2\nb 1 22222222\n", r"v.txt: the header promises 3 words, but the file ends after 2"),
        ("v.txt", b"1 2\na 1 2\nb 1 2\n", r"v.txt:3: the header promises 1 words, but more rows follow"),
        ("v.txt", b"2 2\na 1 2\n\nb 1 2\n", r"v.txt:3: expected a word and 2 numbers, got 1"),
        ("v.txt", b"1000000000000 100\na 1 2\n", r"v.txt:1: .* at least 201000000000000 bytes, but the file has 24"),
        ("v.txt", b"2 2\na 1 2\na 1 2\n", r"v.txt: the word 'a' occurs twice, as number 1 and number 2"),
        ("v.txt", b"2 2\na 1 2\nb 1 nan\n", r"v.txt: the vector of 'b' \(number 2\) has nan in it"),
        ("v.txt", b"2 2\na 1 2\nb 1 1e39\n", r"v.txt: the vector of 'b' \(number 2\) has inf in it"),
        ("v.txt", b"2 2\na 1 2\n\xff 1 2\n", r"v.txt:3: the word b'\\xff' is not UTF-8"),
        ("v.txt", b"0 2\n", r'v.txt:1: expected the header "WORDS DIMENSIONS"'),
        ("v.txt", b"", r"v.txt:1: expected a word and its numbers"),
        ("v.txt", b"word\n", r"v.txt:1: expected a word and its numbers"),
        ("v.glove", b"a 1 2\nb 1\n", r"v.glove:2: expected a word and 2 numbers"),
        ("v.bin", b"a 1 2\n", r'v.bin: expected the header "WORDS DIMENSIONS"'),
        ("v.bin", b"2 1\na 1234\nb 123", r"v.bin: .* word 2 is cut short"),
        ("v.bin", b"2 1\na 1234\nbbbbbbb", r"v.bin: .* word 2 is cut short"),
        ("v.bin", b"1 1\na 1234\nb 1234\n", r"v.bin: .* the file goes on after them"),
        ("v.bin", b"1000000000000 100\na 1234", r"v.bin:1: the header promises 1000000000000 vectors"),
        ("v.bin", b"1 1\na \x00\x00\xc0\x7f", r"the vector of 'a' \(number 1\) has nan"),
        ("v.npy", b"\x93NUMPY", r"v.npy: not a .npy array"),
        ("v.npy", b"", r"v.npy: not a .npy array"),
    ],
)
def test_damaged_files_are_refused_with_the_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        WordVectors.load(tmp_path / name)


def test_damaged_npy_files(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "vectors.npy", tmp_path)
    with pytest.raises(DataError, match=r"vectors.words.txt: no such file"):
        read(tmp_path / "vectors.npy")
    (tmp_path / "vectors.words.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"expected 55 words, one a line for each row of the .npy, got 2"):
        read(tmp_path / "vectors.npy")
    content = (tmp_path / "vectors.npy").read_bytes()
    (tmp_path / "vectors.npy").write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"vectors.npy: not a .npy array that can be used"):
        read(tmp_path / "vectors.npy")
    (tmp_path / "vectors.npy").write_bytes(content.replace(b"(55, 12)", b"(10000000000, 12)"))
    with pytest.raises(DataError, match=r"vectors.npy: not a .npy array that can be used"):
        read(tmp_path / "vectors.npy")
    for bad in (np.ones(3), np.array([["a"]])):
        np.save(tmp_path / "vectors.npy", bad)
        with pytest.raises(DataError, match=r"expected a .npy array of numbers with two axes"):
            read(tmp_path / "vectors.npy")


def test_damaged_npz_files(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    write(path, table(["a", "b"]))
    arrays, metadata = checkpoint.load(path)
    changes: list[tuple[dict[str, object], str]] = [
        ({"words": arrays["words"][:1]}, "'word_offsets' does not divide array 'words'"),
        ({"word_offsets": arrays["word_offsets"][::-1].copy()}, "'word_offsets' does not divide"),
        ({"input": arrays["input"].astype(np.float64)}, "array 'input': expected float32, got float64"),
        ({"input": arrays["input"][:1]}, r"array 'input': expected vectors of shape \(2, dimensions\), got \(1, 3\)"),
        ({"words": np.array([0xFF, 98], np.uint8)}, "word 1: the word .* is not UTF-8"),
        ({"counts": np.ones(3, np.int64)}, "expected counts of shape"),
    ]
    for change, message in changes:
        checkpoint.save(path, {**arrays, **change}, metadata)  # type: ignore[dict-item]
        with pytest.raises(CheckpointError, match=message):
            WordVectors.load(path)
    checkpoint.save(path, {"input": arrays["input"]}, metadata)
    with pytest.raises(CheckpointError, match="array 'words' is missing"):
        WordVectors.load(path)
    checkpoint.save(path, arrays, {"kind": "model"})
    with pytest.raises(CheckpointError, match='expected a file of kind "word2vec", got one of kind "model"'):
        WordVectors.load(path)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ENDINGS)), st.integers(0), st.integers(0, 255))
def test_a_changed_byte_or_a_cut_is_a_told_error_or_other_vectors(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut" / f"v{ENDINGS[name]}"
    write(path, table(["alpha", "beta", "gamma"], dim=2))
    content = path.read_bytes()
    at %= len(content)
    for damaged in (content[:at] + bytes([byte]) + content[at + 1 :], content[:at]):
        path.write_bytes(damaged)
        with contextlib.suppress(DlscratchError):  # any other error fails the test
            WordVectors.load(path)
