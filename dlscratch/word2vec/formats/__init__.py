"""Files of word vectors: which formats there are, and which of them a path is in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlscratch.datasets.sources import existing_file
from dlscratch.errors import UsageError, did_you_mean
from dlscratch.word2vec.formats.arrays import read_npy, read_npz, write_npy, write_npz
from dlscratch.word2vec.formats.binary import read_binary, write_binary
from dlscratch.word2vec.formats.projector import read_projector, write_projector
from dlscratch.word2vec.formats.table import DecodeErrors, PathName, Table
from dlscratch.word2vec.formats.text import has_header, read_glove, read_word2vec, write_glove, write_word2vec

__all__ = ["FORMATS", "DecodeErrors", "Format", "PathName", "Table", "format_of", "read", "write"]


@dataclass(frozen=True)
class Format:
    """A reader and a writer, the endings that choose them, and what is kept besides words and vectors."""

    about: str
    endings: tuple[str, ...]
    read: Callable[[Path, DecodeErrors], Table]
    write: Callable[[Path, Table], None]
    keeps: tuple[str, ...] = ()

    def loses(self, table: Table) -> list[str]:
        """What the table has and a file of this format would not have: some of output, counts, metadata."""
        present = {"output": table.output is not None, "counts": table.counts is not None}
        return [name for name, there in present.items() if there and name not in self.keeps]


FORMATS = {
    "npz": Format("dlscratch's own", (".npz",), read_npz, write_npz, ("output", "counts", "metadata")),
    "word2vec": Format("word2vec's text, with a header", (".txt", ".vec"), read_word2vec, write_word2vec),
    "word2vec-binary": Format("word2vec's binary", (".bin",), read_binary, write_binary),
    "glove": Format("GloVe's text, without a header", (".glove", ".glove.txt"), read_glove, write_glove),
    "projector": Format("a folder for TensorBoard", ("/",), read_projector, write_projector, ("counts",)),
    "npy": Format("a NumPy array, with .words.txt beside it", (".npy",), read_npy, write_npy),
}


def read(path: PathName, format: str | None = None, errors: DecodeErrors = "strict") -> Table:
    """Read a file of vectors; the format is told by the ending (.gz is taken off) and the first line, or named."""
    name = format_of(path, format, reading=True)
    if name == "projector":
        return FORMATS[name].read(Path(path), errors)
    if format is None and name == "word2vec" and not has_header(existing_file(Path(path))):
        name = "glove"
    # A missing .npz is a CheckpointError, as for every checkpoint; a missing file of another format is a DataError.
    return FORMATS[name].read(Path(path) if name == "npz" else existing_file(Path(path)), errors)


def write(path: PathName, table: Table, format: str | None = None) -> None:
    """Write a file of vectors, whole or not at all; the format is told by the ending, or named."""
    FORMATS[format_of(path, format)].write(Path(path), table)


def format_of(path: PathName, format: str | None = None, *, reading: bool = False) -> str:
    """The name of the format for a path. UsageError if the ending says nothing."""
    if format is not None:
        if format not in FORMATS:
            raise UsageError(f'no format "{format}"; there are {", ".join(FORMATS)}{did_you_mean(format, FORMATS)}')
        return format
    text = os.fspath(path)
    if text.endswith("/") or Path(text).is_dir():
        return "projector"
    name = text.lower().removesuffix(".gz") if reading else text.lower()
    matches = {e: n for n, f in FORMATS.items() for e in f.endings if name.endswith(e)}
    if not matches:
        raise UsageError(f"{path}: the ending does not say the format; {_endings(name)}")
    return matches[max(matches, key=len)]


def _endings(name: str) -> str:
    if name.endswith(".gz"):
        return "compressed files are read, not written: write one without .gz and compress it"
    known = ", ".join(f"{' '.join(form.endings)} ({name})" for name, form in FORMATS.items())
    return f"name the format, or use one of: {known}"
