"""word2vec's binary format, as word2vec.c and as gensim write it.

    V D\n                   the number of words and of numbers in each row, as text
    word, 0x20, D × float32 little-endian, and after them 0x0A from word2vec.c, but not from gensim

Both are read. Ours ends each row with 0x0A, because some readers ask for it and none minds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dlscratch.archives import CHUNK
from dlscratch.backend import Array
from dlscratch.checkpoint import atomic_write
from dlscratch.datasets.sources import open_binary
from dlscratch.errors import DataError
from dlscratch.word2vec.formats.table import DecodeErrors, Table, check_size, decoded, encoded, refuse
from dlscratch.word2vec.formats.text import HEADER, LONGEST_HEADER, SPACE_OR_NEWLINE

LONGEST_WORD = 1 << 16
FOREIGN = "is it a file of word2vec's binary format?"
FLOAT = np.dtype("<f4")


def read_binary(path: Path, errors: DecodeErrors = "strict") -> Table:
    """Read word2vec's binary format. DataError if the header is wrong or the file is cut short or goes on."""
    with open_binary(path) as file:
        first = file.readline(LONGEST_HEADER)
        header = HEADER.fullmatch(first)
        if header is None or not int(header[1]) or not int(header[2]):
            raise DataError(
                f'{path}: expected the header "WORDS DIMENSIONS", such as "38488 100", got {first!r}; {FOREIGN}'
            )
        count, dim = int(header[1]), int(header[2])
        check_size(path, count, FLOAT.itemsize * dim + 1)
        vectors = np.empty((count, dim), np.float32)
        words = list(_read_words(path, file, vectors, errors))
    return Table(words, vectors)


def _read_words(path: Path, file: BinaryIO, vectors: Array, errors: DecodeErrors) -> Iterator[str]:
    """Give the words while the rows of `vectors` are filled, reading the file in chunks."""
    size = FLOAT.itemsize * vectors.shape[1]
    buffer, start = b"", 0
    for row in range(len(vectors)):
        space = buffer.find(b" ", start)
        while space < 0 or len(buffer) < space + 1 + size:
            searched = len(buffer) - start if space < 0 else space - start
            if searched > LONGEST_WORD:
                raise DataError(f"{path}: word {row + 1} has more than {LONGEST_WORD} bytes; {FOREIGN}")
            more = file.read(max(CHUNK, size))
            if not more:
                raise DataError(f"{path}: the header promises {len(vectors)} words, but word {row + 1} is cut short")
            buffer, start = buffer[start:] + more, 0
            space = buffer.find(b" ", searched)
        vectors[row] = np.frombuffer(buffer, FLOAT, vectors.shape[1], space + 1)
        yield decoded(f"{path}: word {row + 1}", buffer[start:space].lstrip(b"\n"), errors)
        start = space + 1 + size
    if (buffer[start:] + file.read(LONGEST_HEADER)).strip():
        raise DataError(f"{path}: the header promises {len(vectors)} words, but the file goes on after them")


def write_binary(path: Path, table: Table) -> None:
    """Write word2vec's binary format. DataError for a word with a space or a newline."""
    refuse(path, table.words, SPACE_OR_NEWLINE, "a space ends a word of the binary format, and readers drop newlines")
    words = encoded(path, table.words)
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % table.vectors.shape)
        rows = np.ascontiguousarray(table.vectors, FLOAT)
        file.writelines(b"%s %s\n" % (word, row.tobytes()) for word, row in zip(words, rows, strict=True))
