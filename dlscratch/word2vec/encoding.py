"""Corpus -> a file of word ids and its vocabulary: two passes, of which only the first sees text.

The first pass gives each new shape (see tokens.py) the next number and writes the numbers to a file. When all are
counted the vocabulary is known, and the second pass turns numbers into word ids by looking them up. So text is read
and cut once, even from stdin, and memory holds the different shapes but never the corpus.

    corpus.ids   word ids (uint16, or int32 from 65,535 words on), V for the end of a sentence; the held-out part last
    corpus.npz   the vocabulary, how many ids there are, and what they were made of and how: written last, so that
                 a file of ids without it is known as unfinished
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.errors import CheckpointError, DataError, OutputError
from dlscratch.nn.sizes import memory
from dlscratch.word2vec.corpus import Corpus
from dlscratch.word2vec.prefetch import prefetch
from dlscratch.word2vec.tokens import END, Shape, Tokenizer
from dlscratch.word2vec.vocabulary import Selection, Vocabulary

IDS, FACTS = "corpus.ids", "corpus.npz"
KIND = "word2vec corpus"
NUMBERS = 1 << 18  # numbers that the second pass turns into ids at once
SHARE_OF_MEMORY, BYTES_A_SHAPE = 0.5, 400  # that counting may take, and that it takes for each different shape
HELD_OUT = 1000  # one sentence in so many is kept for the loss and not trained on
MOST_HELD_OUT = 0.1  # of all words: where few sentences hold everything, none is held out


@dataclass(frozen=True)
class Report:
    """What became of the corpus: nothing is dropped in silence."""

    words: int  # before any were dropped
    distinct: int
    dropped: int  # too rare, stop words, or beyond max_vocab
    dropped_distinct: int
    sentences: int
    bytes: int  # of the files as they lie on the disk
    skipped: list[str]  # files of folders that are no text


@dataclass(frozen=True)
class Encoded:
    """A corpus as ids on the disk: `training` ids, then `held_out` ids."""

    folder: Path
    vocabulary: Vocabulary
    training: int
    held_out: int
    report: Report
    fingerprint: str
    recipe: dict[str, Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        return id_dtype(len(self.vocabulary))

    def read(self, start: int, count: int) -> Array:
        """Ids from a place on. Plain reading: the pages of a memory map would count as memory of this process."""
        return np.fromfile(self.folder / IDS, self.dtype, count, offset=start * self.dtype.itemsize)


def id_dtype(words: int) -> np.dtype[Any]:
    """The smallest type for the ids 0 … words."""
    return np.dtype(np.uint16 if words < 1 << 16 else np.int32)


def encode(corpus: Corpus, tokenizer: Tokenizer, selection: Selection, folder: Path) -> Encoded:
    """Count and encode a corpus into `folder`, or take what is there if it was made of the same text in the same way.

    DataError for a corpus that cannot be used, OutputError if the disk is full.
    """
    recipe = _recipe(corpus, tokenizer, selection)
    found = None if corpus.from_stdin else load(folder)
    if found and found.recipe == recipe and found.fingerprint == corpus.read_fingerprint():
        return found
    numbers = folder / f".{IDS}.tmp"
    try:
        with _writing(numbers) as file:
            shapes, counts = _number(corpus, tokenizer, file)
        meanings = [tokenizer.words(shape) for shape in shapes]
        totals = _totals(meanings, counts)
        vocabulary = selection.choose(totals)
        _forget(folder / FACTS)  # of ids that are overwritten now
        sizes = _translate(numbers, folder / IDS, Lookup(meanings, vocabulary), int(counts[0]))
    finally:
        _forget(numbers)
    words, kept = sum(totals.values()), int(vocabulary.counts.sum())
    report = Report(
        words=words,
        distinct=len(totals),
        dropped=words - kept,
        dropped_distinct=len(totals) - len(vocabulary),
        sentences=sizes.pop("sentences"),
        bytes=sum(corpus.sizes),
        skipped=corpus.skipped,
    )
    encoded = Encoded(folder, vocabulary, report=report, fingerprint=corpus.fingerprint, recipe=recipe, **sizes)
    _save(encoded)
    return encoded


def _recipe(corpus: Corpus, tokenizer: Tokenizer, selection: Selection) -> dict[str, Any]:
    """Everything beside the text that decides about the ids, fit for JSON."""
    kinds = {"tokenizer": tokenizer.kind, "sentences": tokenizer.sentences, "lowercase": tokenizer.lowercase}
    chosen = {**asdict(selection), "stopwords": sorted(selection.stopwords)}
    return {**kinds, **chosen, "errors": corpus.errors, "version": 1}


class _Numbers(dict[Shape, int]):
    """Shape -> number, the next one for a shape that is new."""

    def __missing__(self, shape: Shape) -> int:
        number = self[shape] = len(self)
        return number


def _number(corpus: Corpus, tokenizer: Tokenizer, file: IO[bytes]) -> tuple[list[Shape], Array]:
    """Write the number of each shape of the corpus (int32); the shapes in order, and how often each occurs.

    DataError for more shapes than memory could hold, as noise instead of text has.
    """
    numbers = _Numbers({END: 0})
    counts = np.zeros(1, np.int64)
    most = int(memory() * SHARE_OF_MEMORY) // BYTES_A_SHAPE
    for piece in prefetch(corpus.pieces()):
        shapes = tokenizer.shapes(piece)
        found = np.fromiter(map(numbers.__getitem__, shapes), np.int32, len(shapes))
        file.write(found.data)
        more = np.bincount(found, minlength=len(numbers))
        more[: len(counts)] += counts
        counts = more
        if len(numbers) > most:
            raise DataError(f"the corpus has more than {most:,} different words, too many for the memory; is it text?")
    return list(numbers), counts


def _totals(meanings: Sequence[list[str]], counts: Array) -> Mapping[str, int]:
    """How often each word occurs, from how often its shapes do."""
    totals: Counter[str] = Counter()
    for words, count in zip(meanings, counts.tolist(), strict=True):
        for word in words:
            totals[word] += count
    return totals


class Lookup:
    """Numbers of shapes -> ids of words: none for a word that is not in the vocabulary, V for the end of a sentence."""

    def __init__(self, meanings: Sequence[list[str]], vocabulary: Vocabulary) -> None:
        ids = {word: row for row, word in enumerate(vocabulary.words)}
        rows = [[ids[word] for word in words if word in ids] for words in meanings]
        self.end = len(vocabulary)
        rows[0] = [self.end]
        self.lengths = np.array([len(row) for row in rows], np.int32)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.flat = np.array(list(itertools.chain.from_iterable(rows)), id_dtype(self.end))

    def __call__(self, numbers: Array) -> Array:
        lengths = self.lengths[numbers]
        ends = np.cumsum(lengths)
        shifts = self.starts[numbers] - (ends - lengths)
        found: Array = self.flat[np.repeat(shifts, lengths) + np.arange(ends[-1] if len(ends) else 0)]
        return found


def _translate(source: Path, target: Path, lookup: Lookup, ends: int) -> dict[str, int]:
    """Write the ids of all sentences that are trained on, then of the others; how many there are of what."""
    chosen = min(HELD_OUT // 2, ends // 2) if ends > 1 else HELD_OUT
    training, sentences, last = 0, 0, lookup.end
    held_out: list[Array] = []
    with _writing(target) as file:
        for ids in map(lookup, _blocks(source)):
            ids = ids[(ids != lookup.end) | (np.concatenate([[last], ids[:-1]]) != lookup.end)]  # no empty sentences
            end = ids == lookup.end
            sentence = np.cumsum(end) - end + sentences
            held = sentence % HELD_OUT == chosen
            file.write(ids[~held].tobytes())
            held_out.append(ids[held])
            training += len(ids) - len(held_out[-1])
            sentences, last = sentences + int(end.sum()), ids[-1] if len(ids) else last
        rest = np.concatenate([*held_out, np.empty(0, lookup.flat.dtype)])
        file.write(rest.tobytes())
        file.flush()
        os.fsync(file.fileno())  # before corpus.npz says that they are whole
    if len(rest) > MOST_HELD_OUT * (training + len(rest)):
        training, rest = training + len(rest), rest[:0]
    return {"training": training, "held_out": len(rest), "sentences": sentences}


def _blocks(path: Path) -> Iterator[Array]:
    with path.open("rb") as file:
        while len(block := np.fromfile(file, np.int32, NUMBERS)):
            yield block


@contextmanager
def _writing(path: Path) -> Iterator[IO[bytes]]:
    """A new file; OutputError, and no file, if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget(path)  # so that no link is followed
        with path.open("xb") as file:
            yield file
    except OSError as error:
        _forget(path)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}; nothing was kept of it") from error


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _save(encoded: Encoded) -> None:
    words = [word.encode() for word in encoded.vocabulary.words]
    arrays: dict[str, Array] = {
        "words": np.frombuffer(b"".join(words), np.uint8),
        "word_offsets": np.cumsum([0, *map(len, words)], dtype=np.int64),
        "counts": encoded.vocabulary.counts,
    }
    names = ("training", "held_out", "fingerprint", "recipe")
    facts = {name: getattr(encoded, name) for name in names}
    facts |= {"kind": KIND, "report": asdict(encoded.report)}
    checkpoint.save(encoded.folder / FACTS, arrays, facts, follow=False)


def remove(folder: Path) -> None:
    """Delete the files of the encoded corpus in a folder."""
    for name in (FACTS, IDS):
        _forget(folder / name)


def load(folder: Path) -> Encoded | None:
    """The encoded corpus in a folder; None where there is none, or none that is whole."""
    try:
        arrays, facts = checkpoint.load(folder / FACTS)
        text, offsets = arrays["words"].tobytes(), arrays["word_offsets"].tolist()
        words = [text[start:end].decode() for start, end in itertools.pairwise(offsets)]
        encoded = Encoded(
            folder,
            Vocabulary(words, arrays["counts"]),
            report=Report(**facts["report"]),
            **{name: facts[name] for name in ("training", "held_out", "fingerprint", "recipe")},
        )
        size = (folder / IDS).stat().st_size
    except (CheckpointError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return encoded if size == (encoded.training + encoded.held_out) * encoded.dtype.itemsize else None
