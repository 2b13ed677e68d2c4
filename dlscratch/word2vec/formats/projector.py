"""A folder for TensorBoard's embedding projector (also at projector.tensorflow.org, where files are uploaded).

    vectors.tsv             a row of tab-separated numbers for each word, no header
    metadata.tsv            a row for each word: the word, or with counts `word<TAB>count` under a header
    projector_config.pbtxt  says which file is which

The projector skips a metadata row of white space, and all labels after it would be shifted; a tab or newline in a word
would do similar harm. Such words are written as JSON strings ("\\t", " "), and the config says so in a comment, by
which the reader knows to take them back. So metadata has as many rows as there are vectors, whatever the words.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np

from dlscratch.backend import Array
from dlscratch.checkpoint import atomic_write, write_text
from dlscratch.datasets.sources import existing_file, open_binary
from dlscratch.errors import DataError
from dlscratch.word2vec.formats.table import (
    DecodeErrors,
    Table,
    decoded,
    encoded,
    numbers,
    row_bytes,
    strict_numbers,
    write_lines,
)

VECTORS, METADATA, CONFIG = "vectors.tsv", "metadata.tsv", "projector_config.pbtxt"
QUOTED = "# Words in double quotes are JSON strings (dlscratch).\n"
HEADER = "word\tcount"
EMBEDDING = 'embeddings {\n  tensor_name: "word vectors"\n  tensor_path: "%s"\n  metadata_path: "%s"\n}\n'
# Control characters and line ends anywhere, a quote or byte order mark at the start, nothing but what JavaScript trims.
NEEDS_QUOTES = re.compile(r'[\x00-\x1f\x7f\x85\u2028\u2029]|^["\ufeff]|^[\s\ufeff]*$')


def write_projector(path: Path, table: Table) -> None:
    """Write the three files into the folder `path`, the config last."""
    labels = [json.dumps(word, ensure_ascii=False) if NEEDS_QUOTES.search(word) else word for word in table.words]
    quoted = labels != table.words
    lines = encoded(path / METADATA, labels)
    if table.counts is not None:
        counts = table.counts.tolist()
        lines = [HEADER.encode(), *(b"%s\t%d" % pair for pair in zip(lines, counts, strict=True))]
    with atomic_write(path / VECTORS) as file:
        write_lines(file, row_bytes(table.vectors, b"\t"))
    with atomic_write(path / METADATA) as file:
        write_lines(file, lines)
    write_text(path / CONFIG, (QUOTED if quoted else "") + EMBEDDING % (VECTORS, METADATA))


def read_projector(path: Path, errors: DecodeErrors = "strict") -> Table:
    """Read a projector folder. DataError if its files do not agree."""
    if not path.is_dir():
        raise DataError(f"{path}: expected the folder of a projector, with {VECTORS} and {METADATA} in it")
    config = _read_config(path / CONFIG) if (path / CONFIG).exists() else ""
    vectors_path = path / _named(path, config, "tensor_path", VECTORS)
    metadata_path = path / _named(path, config, "metadata_path", METADATA)
    vectors = _read_vectors(existing_file(vectors_path))
    rows = _read_metadata(existing_file(metadata_path), errors)
    names = rows.pop(0) if rows and len(rows[0]) > 1 else []
    if len(rows) != len(vectors):
        raise DataError(f"{metadata_path}: {len(rows)} words for the {len(vectors)} vectors of {vectors_path.name}")
    words = [row[0] for row in rows]
    if config.startswith(QUOTED):
        words = [_unquoted(metadata_path, word) for word in words]
    return Table(words, vectors, counts=_counts(metadata_path, rows, names))


def _read_config(path: Path) -> str:
    with open_binary(path) as file:
        return file.read().decode(errors="replace")


def _named(path: Path, config: str, key: str, default: str) -> str:
    """The file name that the config gives for `key`; there must not be two."""
    names = re.findall(rf'^[^#\n]*?\b{key}\s*:\s*"([^"]*)"', config, re.MULTILINE)
    if len(names) > 1:
        raise DataError(f"{path / CONFIG}: holds {len(names)} embeddings; leave the one that is to be read")
    name = os.path.normpath(names[0]) if names else default
    if os.path.isabs(name) or name.startswith(os.pardir):
        raise DataError(f"{path / CONFIG}: {key} is {name!r}, which lies outside of the folder")
    return name


def _read_vectors(path: Path) -> Array:
    with open_binary(path) as file:
        lines = [line for line in file if line.strip()]
    if not lines:
        raise DataError(f"{path}: holds no vectors")
    dim = len(lines[0].split())
    rows = (numbers(f"{path}:{number}", line, dim) for number, line in enumerate(lines, start=1))
    with strict_numbers():
        return np.fromiter(rows, np.dtype((np.float32, dim)))  # grows: the first row alone says how long all are


def _read_metadata(path: Path, errors: DecodeErrors) -> list[list[str]]:
    """The rows as fields, less those that the projector skips."""
    with open_binary(path) as file:
        lines = [line.rstrip(b"\r\n") for line in file]
    texts = [decoded(f"{path}:{number}", line, errors) for number, line in enumerate(lines, start=1)]
    return [text.split("\t") for text in texts if text.strip("\ufeff").strip()]


def _unquoted(path: Path, label: str) -> str:
    if not label.startswith('"'):
        return label
    try:
        return str(json.loads(label))
    except json.JSONDecodeError:
        raise DataError(f"{path}: {label} is not a JSON string, though {CONFIG} says so") from None


def _counts(path: Path, rows: list[list[str]], names: list[str]) -> Array | None:
    """The column `count`, if there is one."""
    if "count" not in names:
        return None
    column = names.index("count")
    try:
        return np.array([int(row[column]) for row in rows], dtype=np.int64)
    except (ValueError, IndexError, OverflowError):
        raise DataError(f"{path}: column count: expected a whole number in every row") from None
