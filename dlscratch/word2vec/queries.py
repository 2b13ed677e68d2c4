"""Queries as a person writes them, on the command line or one a line in a file.

    king - man + woman      a sign is for the word behind it, and stands alone: words may begin with signs
    + -                     so this asks for the word "-"
    man king woman          an analogy: man is to king as woman is to what
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from dlscratch.datasets.sources import existing_file
from dlscratch.errors import DataError, UsageError
from dlscratch.word2vec.evaluate import content_lines
from dlscratch.word2vec.formats import PathName
from dlscratch.word2vec.vectors import WordVectors

T = TypeVar("T")
SIGNS = ("+", "-")

Sum = tuple[list[str], list[str]]
Question = tuple[str, str, str]


def parse_sum(tokens: Sequence[str]) -> Sum:
    """The words that are added and those that are subtracted."""
    found: dict[str, list[str]] = {sign: [] for sign in SIGNS}
    rest = iter(tokens)
    for token in rest:
        sign, word = (token, next(rest, None)) if token in SIGNS else ("+", token)
        if word is None:
            raise UsageError(f'there is no word behind "{token}"; to ask for the word "{token}", write + {token}')
        found[sign].append(word)
    if not any(found.values()):
        raise UsageError("expected words, such as gold, or king - man + woman")
    return found["+"], found["-"]


def parse_question(tokens: Sequence[str]) -> Question:
    """The three words of an analogy."""
    if len(tokens) != 3:
        raise UsageError(f"expected three words, such as man king woman, got {len(tokens)}")
    return tokens[0], tokens[1], tokens[2]


def read_queries(path: PathName, parse: Callable[[Sequence[str]], T], vectors: WordVectors) -> list[T]:
    """The queries in a file, one a line; blank lines and those that begin with # do not count.

    DataError, with the line, for one that cannot be understood or has a word that there is no vector for.
    """
    queries = []
    for number, line in content_lines(existing_file(Path(path))):
        tokens = line.split()
        try:
            queries.append(parse(tokens))
            for word in tokens:
                if word not in SIGNS or word in vectors:
                    vectors.row(word)
        except UsageError as error:
            raise DataError(f"{path}:{number}: {error}") from None
    if not queries:
        raise DataError(f"{path}: holds no queries; expected one a line")
    return queries
