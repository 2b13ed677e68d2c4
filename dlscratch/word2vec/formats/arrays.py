"""Our own .npz, and a bare .npy with its words beside it.

    vectors.npz         a file of dlscratch.checkpoint, that `numpy.load` opens without pickles:
        input           (V, D) float32, the word vectors
        output          (V, D) float32, the second table of word2vec; may be missing
        words           uint8, the UTF-8 bytes of all words without anything between them
        word_offsets    (V + 1) int64, word i is words[word_offsets[i] : word_offsets[i + 1]]
        counts          (V) int64, how often each word occurs in the corpus; may be missing
        metadata        with "kind": "word2vec"

    vectors.npy         (V, D), and vectors.words.txt: one word a line, in the order of the rows
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import numpy as np

from dlscratch import checkpoint
from dlscratch.archives import ArchiveError, read_array
from dlscratch.backend import Array
from dlscratch.datasets.sources import existing_file, open_binary, readable
from dlscratch.errors import CheckpointError, DataError
from dlscratch.word2vec.formats.table import DecodeErrors, Table, decoded, encoded, refuse, write_lines
from dlscratch.word2vec.formats.text import NEWLINE

KIND = "word2vec"
ARRAYS: dict[str, tuple[type[np.generic], bool]] = {
    "input": (np.float32, True),
    "output": (np.float32, False),
    "words": (np.uint8, True),
    "word_offsets": (np.int64, True),
    "counts": (np.int64, False),
}
WRITTEN_ANEW = ("format", "format_version", "written_by", "arrays")


def read_npz(path: Path, errors: DecodeErrors = "strict") -> Table:
    """Read our own format. CheckpointError if the file is damaged, or a checkpoint of something else."""
    arrays, metadata = checkpoint.load(path)
    if metadata.get("kind") != KIND:
        raise CheckpointError(f'{path}: expected a file of kind "{KIND}", got one of kind "{metadata.get("kind")}"')
    for name, (dtype, needed) in ARRAYS.items():
        if needed and name not in arrays:
            raise CheckpointError(f"{path}: array {name!r} is missing; it is not a file of word vectors")
        if name in arrays and arrays[name].dtype != dtype:
            raise CheckpointError(f"{path}: array {name!r}: expected {np.dtype(dtype)}, got {arrays[name].dtype}")
    words = _unpack(path, arrays["words"], arrays["word_offsets"], errors)
    if arrays["input"].ndim != 2 or len(arrays["input"]) != len(words):
        shape = f"expected vectors of shape ({len(words)}, dimensions), got {arrays['input'].shape}"
        raise CheckpointError(f"{path}: array 'input': {shape}")
    facts = {name: value for name, value in metadata.items() if name not in WRITTEN_ANEW}
    return Table(words, arrays["input"], arrays.get("output"), arrays.get("counts"), facts)


def _unpack(path: Path, text: Array, offsets: Array, errors: DecodeErrors) -> list[str]:
    """The words that lie in `text` between the offsets."""
    flat = text.ndim == 1 and offsets.ndim == 1
    if not (flat and len(offsets) and offsets[0] == 0 and offsets[-1] == len(text) and (np.diff(offsets) >= 0).all()):
        raise CheckpointError(f"{path}: array 'word_offsets' does not divide array 'words' into words")
    data = text.tobytes()
    pairs = list(itertools.pairwise(offsets.tolist()))
    with contextlib.suppress(UnicodeDecodeError):  # the usual case, and fast: no place is named for each word
        return [data[start:end].decode() for start, end in pairs]
    return [decoded(f"{path}: word {row}", data[start:end], errors) for row, (start, end) in enumerate(pairs, start=1)]


def write_npz(path: Path, table: Table) -> None:
    """Write our own format, which holds everything."""
    words = encoded(path, table.words)
    arrays = {
        "input": table.vectors,
        "output": table.output,
        "words": np.frombuffer(b"".join(words), np.uint8),
        "word_offsets": np.cumsum([0, *map(len, words)], dtype=np.int64),
        "counts": table.counts,
    }
    checkpoint.save(path, {k: v for k, v in arrays.items() if v is not None}, {**table.metadata, "kind": KIND})


def read_npy(path: Path, errors: DecodeErrors = "strict") -> Table:
    """Read a .npy array of any real type and the .words.txt beside it."""
    try:
        with readable(path), existing_file(path).open("rb") as file:
            vectors = read_array(file, "not a .npy array that can be used: it", path.stat().st_size)
    except ArchiveError as error:
        raise DataError(f"{path}: {error}") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise DataError(f"{path}: expected a .npy array of numbers with two axes, a row for each word")
    return Table(_read_words(_words_path(path), len(vectors), errors), vectors)


def _read_words(path: Path, count: int, errors: DecodeErrors) -> list[str]:
    with open_binary(existing_file(path)) as file:
        lines = file.read().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if len(lines) != count:
        raise DataError(f"{path}: expected {count} words, one a line for each row of the .npy, got {len(lines)}")
    return [decoded(f"{path}:{number}", line, errors) for number, line in enumerate(lines, start=1)]


def write_npy(path: Path, table: Table) -> None:
    """Write a .npy and the .words.txt beside it. DataError for a word with a newline."""
    beside = _words_path(path)
    refuse(beside, table.words, NEWLINE, "it holds a newline, and the file has one word a line")
    words = encoded(beside, table.words)
    with checkpoint.atomic_write(path) as file:
        np.lib.format.write_array(file, table.vectors, allow_pickle=False)
    with checkpoint.atomic_write(beside) as file:
        write_lines(file, words)


def _words_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".npy") + ".words.txt")
