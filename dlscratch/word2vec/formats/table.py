"""What every format reads and writes: the words, their vectors, and what else a format can hold."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.sources import most_bytes
from dlscratch.errors import DataError

PathName = str | PathLike[str]
DecodeErrors = Literal["strict", "replace"]
ROWS_PER_WRITE = 1024


@dataclass(frozen=True)
class Table:
    """Words and their vectors, row by row; `output` is the second table of word2vec, `counts` are occurrences."""

    words: list[str]
    vectors: Array
    output: Array | None = None
    counts: Array | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def encoded(path: PathName, words: Iterable[str]) -> list[bytes]:
    """The words in UTF-8. DataError names a word that has none (half of a surrogate pair)."""
    result = []
    for word in words:
        try:
            result.append(word.encode())
        except UnicodeEncodeError:
            raise DataError(f"{path}: the word {word!r} is not valid Unicode and cannot be written") from None
    return result


def decoded(where: str, word: bytes, errors: DecodeErrors) -> str:
    """A word from UTF-8; DataError at `where` for bytes that are not, unless `errors` is "replace"."""
    try:
        return word.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: the word {word!r} is not UTF-8 (byte {error.start} of it); "
            'read it with errors="replace" to put U+FFFD in its place'
        ) from None


def refuse(path: PathName, words: Sequence[str], pattern: re.Pattern[str], reason: str) -> None:
    """DataError with the first word in which `pattern` is found, and the reason why the format cannot hold it."""
    for row, word in enumerate(words, start=1):
        if pattern.search(word):
            raise DataError(
                f"{path}: the word {word!r} (number {row}) cannot be written: {reason}; "
                "write .npz, which holds any word, or leave the word out"
            )


def check_size(path: Path, rows: int, smallest_row: int) -> None:
    """DataError if a header promises more rows than the file has bytes for: before memory is taken for them."""
    size = path.stat().st_size
    if rows * smallest_row > most_bytes(path) + 1:
        raise DataError(
            f"{path}:1: the header promises {rows} vectors, which need at least {rows * smallest_row} bytes, "
            f"but the file has {size}; it is cut short, or the header is wrong"
        )


def row_bytes(vectors: Array, separator: bytes) -> Iterable[bytes]:
    """The numbers of each row as text that reads back to the same float32 bits (nine digits always do)."""
    template = separator.join([b"%.9g"] * vectors.shape[1])
    for start in range(0, len(vectors), ROWS_PER_WRITE):
        for row in vectors[start : start + ROWS_PER_WRITE].tolist():
            yield template % tuple(row)


def write_lines(file: IO[bytes], lines: Iterable[bytes]) -> None:
    """Write lines, each ended by a newline."""
    file.writelines(line + b"\n" for line in lines)


@contextlib.contextmanager
def strict_numbers() -> Iterator[None]:
    """Within this, `numbers` refuses text that is no number in NumPy 2.0 to 2.3 as well, which only warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        yield


def numbers(where: str, text: bytes, dim: int) -> Array:
    """The float32 numbers of one row, separated by white space. DataError at `where` unless there are `dim` of them."""
    try:
        row = np.fromstring(text, dtype=np.float32, sep=" ")
    except (ValueError, DeprecationWarning):
        raise DataError(f"{where}: expected {dim} numbers, got {_shortened(text)}") from None
    if len(row) != dim:
        raise DataError(f"{where}: expected {dim} numbers, got {len(row)}: {_shortened(text)}")
    return row


def _shortened(text: bytes) -> str:
    start = text[:60].decode(errors="replace")
    return f'"{start}{"…" if len(text) > 60 else ""}"'
