"""The lines of a CSV, a megabyte at a time: as bytes for the parser of numbers, and as text for the csv module."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np

from dlscratch.backend import Array

PIECE = 1 << 20  # bytes: few, large pieces, for threads to wait rarely, and yet in the cache
USUAL = 1 << 14  # bytes in which a line mostly ends
FRONT = 32  # bytes before the text, so that the words of its first cell begin inside the array
ZERO, NEWLINE = b"0\n"
SURROGATES = "surrogatepass"  # half characters, which some encodings can hold


@dataclass(frozen=True)
class Lines:
    """Whole lines in UTF-8, `data` from FRONT to `end`: in whole words, and after the end of a line."""

    data: Array
    end: int

    @classmethod
    def of(cls, text: str) -> Lines:
        """Lines of text, of which the last may lack its end."""
        encoded = np.frombuffer(text.encode(errors=SURROGATES), np.uint8)
        data, end = _room(len(encoded)), FRONT + len(encoded)
        data[FRONT:end] = encoded
        return _closed(data, end)

    def text(self) -> str:
        """The lines as text."""
        return self.data[FRONT : self.end].tobytes().decode(errors=SURROGATES)

    def parts(self, starts: Array, ends: Array) -> list[str]:
        """The text between places in `data`."""
        data, places = self._bytes, zip(starts.tolist(), ends.tolist(), strict=True)
        return [str(data[start:end], "utf-8", SURROGATES) for start, end in places]

    @cached_property
    def _bytes(self) -> bytes:
        return self.data.tobytes()


class TextLines:
    """The lines of pieces as text, one after the other; `rest` gives those that nobody has taken, in pieces."""

    def __init__(self, pieces: Iterator[Lines]) -> None:
        self._pieces = pieces
        self._text = io.StringIO()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not (line := self._text.readline()):
            self._text = io.StringIO(next(self._pieces).text(), newline="")
        return line

    def rest(self) -> Iterator[Lines]:
        """The pieces that follow the last line."""
        if text := self._text.read():
            yield Lines.of(text)
        yield from self._pieces


def pieces(file: BinaryIO, encoding: str) -> Iterator[Lines]:
    """The text of a file in pieces of whole lines; UnicodeError where it is not in its encoding."""
    return _utf8(file) if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig") else _decoded(file, encoding)


def _decoded(file: BinaryIO, encoding: str) -> Iterator[Lines]:
    decoder, rest = codecs.getincrementaldecoder(encoding)(), [""]
    while read := file.read(PIECE):
        text = decoder.decode(read)
        end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        if end:
            yield Lines.of("".join((*rest, text[:end])))
            rest.clear()
        rest.append(text[end:])
    if text := "".join(rest) + decoder.decode(b"", final=True):
        yield Lines.of(text)


def _utf8(file: BinaryIO) -> Iterator[Lines]:
    """Pieces of a file in UTF-8, which is read once and not copied."""
    rest = np.frombuffer(file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8), np.uint8)
    while True:
        size, begin = max(PIECE, len(rest)), FRONT + len(rest)
        data = _room(len(rest) + size)
        data[FRONT:begin] = rest
        read = file.readinto(data[begin : begin + size].data)  # type: ignore[attr-defined]
        end = begin + read
        whole = _last_end(data, begin, end) if read else end
        if whole > FRONT:
            rest = data[whole:end].copy()
            yield _checked(_closed(data, whole))
        else:
            rest = data[FRONT:end]
        if not read:
            return


def _room(size: int) -> Array:
    """Memory for a text of so many bytes, its end of line and what goes around it."""
    return np.empty(FRONT + size + 9, np.uint8)


def _last_end(data: Array, begin: int, end: int) -> int:
    """Where the last whole line between two places ends; FRONT if none does. A last \\r may be half of an end."""
    for mark, length in ((b"\n", USUAL), (b"\n", end - begin), (b"\r", end - begin)):
        start = max(begin, end - length)
        place = data[start:end].tobytes().rfind(mark, 0, -1 if mark == b"\r" else None)
        if place >= 0:
            return start + place + 1
    return FRONT


def _closed(data: Array, end: int) -> Lines:
    """The lines before `end`, the last one with an end, with zeros around them."""
    if data[end - 1] != NEWLINE:
        data[end] = NEWLINE
        end += 1
    size = -(-end // 8) * 8
    data[:FRONT], data[FRONT - 1], data[end:size] = ZERO, NEWLINE, ZERO
    return Lines(data[:size], end)


def _checked(lines: Lines) -> Lines:
    """The same lines; UnicodeDecodeError if they are not UTF-8."""
    if lines.data.max() >= 128:
        lines.data.tobytes().decode()
    return lines
