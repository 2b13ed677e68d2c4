"""word2vec's text format, and GloVe's, which is the same without the header line.

    V D                     word2vec only: the number of words and of numbers in each row
    word v1 v2 … vD         UTF-8, single spaces; word2vec.c leaves a space before the newline

The last D fields of a row are its numbers, so a word may hold spaces. GloVe has no header that says D: it is what most
of the first rows have; what we write as GloVe has no spaces within words, so that any reader finds D.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from dlscratch.backend import Array
from dlscratch.checkpoint import atomic_write
from dlscratch.datasets.sources import open_binary
from dlscratch.errors import DataError
from dlscratch.word2vec.formats.table import (
    DecodeErrors,
    Table,
    check_size,
    decoded,
    encoded,
    numbers,
    refuse,
    row_bytes,
    strict_numbers,
    write_lines,
)

HEADER = re.compile(rb"(\d{1,18}) (\d{1,9})[ \r\n]*")
ROW_END = b" \r\n"
GLOVE_SAMPLE = 100
LONGEST_HEADER = 64
GROWTH = 1 << 17  # numbers that there is room for at first
NEWLINE = re.compile("\n")
SPACE_OR_NEWLINE = re.compile("[ \n]")


def read_word2vec(path: Path, errors: DecodeErrors = "strict") -> Table:
    """Read word2vec's text format. DataError, with the line, for a wrong header and for rows that are short or more."""
    with open_binary(path) as file:
        first = file.readline(LONGEST_HEADER)
        header = HEADER.fullmatch(first)
        if header is None or not int(header[1]) or not int(header[2]):
            raise DataError(
                f'{path}:1: expected the header "WORDS DIMENSIONS", such as "38488 100", got {first[:60]!r}; '
                "a file without this line may be of GloVe: read it with format glove"
            )
        count, dim = int(header[1]), int(header[2])
        check_size(path, count, 2 * dim + 1)
        words, vectors = _read_rows(path, file, dim, 2, errors, np.empty((count, dim), np.float32))
    if len(words) < count:
        raise DataError(f"{path}: the header promises {count} words, but the file ends after {len(words)}")
    return Table(words, vectors)


def read_glove(path: Path, errors: DecodeErrors = "strict") -> Table:
    """Read GloVe's text format, in which each line is a word and its numbers."""
    with open_binary(path) as file:
        sample = list(islice(file, GLOVE_SAMPLE))
        spaces = Counter(line.rstrip(ROW_END).count(b" ") for line in sample)
        dim = spaces.most_common(1)[0][0] if sample else 0
        if not dim:
            raise DataError(f"{path}:1: expected a word and its numbers, separated by spaces")
        words, vectors = _read_rows(path, chain(sample, file), dim, 1, errors)
    return Table(words, vectors)


def _read_rows(
    path: Path, lines: Iterable[bytes], dim: int, first: int, errors: DecodeErrors, vectors: Array | None = None
) -> tuple[list[str], Array]:
    """The words and numbers of the lines; `vectors` has as many rows as there must be, or None if they may grow."""
    limit = None if vectors is None else len(vectors)
    vectors = np.empty((max(1, GROWTH // dim), dim), np.float32) if vectors is None else vectors
    words: list[str] = []
    with strict_numbers():
        for number, line in enumerate(_without_blank_end(lines), start=first):
            row = len(words)
            if row == limit:
                raise DataError(f"{path}:{number}: the header promises {limit} words, but more rows follow")
            if row == len(vectors):
                vectors = np.concatenate([vectors, np.empty_like(vectors)])
            word, text = _split(path, number, line, dim)
            vectors[row] = numbers(f"{path}:{number}", text, dim)
            words.append(decoded(f"{path}:{number}", word, errors))
    return words, vectors[: len(words)]


def _split(path: Path, number: int, line: bytes, dim: int) -> tuple[bytes, bytes]:
    """The word and the text of its numbers: cut at the first space, or, for a word with spaces, before the last D."""
    line = line.rstrip(ROW_END)
    word, space, text = line.partition(b" ")
    if space and text.count(b" ") == dim - 1:
        return word, text
    fields = line.rsplit(b" ", dim)
    if len(fields) <= dim:
        raise DataError(f"{path}:{number}: expected a word and {dim} numbers, got {len(fields)} fields")
    return fields[0], b" ".join(fields[1:])


def _without_blank_end(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, less the blank ones at the end."""
    blank: list[bytes] = []
    for line in lines:
        if not line.strip():
            blank.append(line)
            continue
        yield from blank
        blank.clear()
        yield line


def has_header(path: Path) -> bool:
    """Whether the first line is word2vec's header; if not, the file is of GloVe."""
    with open_binary(path) as file:
        return HEADER.fullmatch(file.readline(LONGEST_HEADER)) is not None


def write_word2vec(path: Path, table: Table) -> None:
    """Write word2vec's text format. DataError for a word with a newline."""
    refuse(path, table.words, NEWLINE, "it holds a newline, which ends a row of the text format")
    _write(path, table, b"%d %d\n" % table.vectors.shape)


def write_glove(path: Path, table: Table) -> None:
    """Write GloVe's text format. DataError for a word with a space or a newline."""
    refuse(path, table.words, SPACE_OR_NEWLINE, "GloVe's format has no header, so a space ends a word, a newline a row")
    first = b"%s %s" % (encoded(path, table.words[:1])[0], next(iter(row_bytes(table.vectors[:1], b" "))))
    if HEADER.fullmatch(first):
        raise DataError(f"{path}: the first row, {first.decode()!r}, would be taken for a header; write another format")
    _write(path, table, b"")


def _write(path: Path, table: Table, header: bytes) -> None:
    words = encoded(path, table.words)
    with atomic_write(path) as file:
        file.write(header)
        rows = row_bytes(table.vectors, b" ")
        write_lines(file, (b"%s %s" % pair for pair in zip(words, rows, strict=True)))
