"""Text files as a stream of pieces: files, folders and stdin, packed or not, checked for UTF-8."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

from dlscratch.archives import most_unpacked
from dlscratch.datasets.sources import bomb, existing_file
from dlscratch.errors import DataError

STDIN = "-"
PIECE = 1 << 20  # bytes that are read at once
LONGEST_WORD = 1 << 26  # bytes
SNIFFED = 4096  # bytes by which a file is known as text
PACKED: dict[bytes, tuple[str, Callable[[Any], Any]]] = {
    b"\x1f\x8b": (".gz", lambda file: gzip.GzipFile(fileobj=file)),
    b"BZh": (".bz2", bz2.BZ2File),
    b"\xfd7zXZ\0": (".xz", lzma.LZMAFile),
}
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, OSError, ValueError)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Corpus:
    """The text in files and folders (`-`: stdin), in the order given; a folder's text files are sorted by path.

    `errors` says what happens to bytes that are not UTF-8: "strict" is a DataError with file, line and byte, "replace"
    puts U+FFFD in their place. After `pieces()` has come to its end, `sizes` and `digests` hold the bytes and the
    SHA-256 of each file as it lies on the disk.
    """

    def __init__(self, paths: Sequence[str | Path], errors: Literal["strict", "replace"] = "strict") -> None:
        self.skipped: list[str] = []  # files of folders that are no text
        self.files = [file for path in paths for file in self._expand(path)]
        self.errors = errors
        self.sizes: list[int] = []
        self.digests: list[str] = []
        if not self.files:
            raise DataError("no text to read: name a file, a folder, or - for stdin")

    @property
    def from_stdin(self) -> bool:
        """Whether part of the text can be read only once."""
        return STDIN in self.files

    @property
    def fingerprint(self) -> str:
        """One SHA-256 for the contents of all files, in order."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()

    def read_fingerprint(self) -> str:
        """The same fingerprint from reading the files alone, without unpacking them."""
        self._start()
        for name in self.files:
            with _guarded(name, existing_file(Path(name)).open("rb")) as file:
                self._finish(_Digested(file))
        return self.fingerprint

    def pieces(self) -> Iterator[bytes]:
        """The text in UTF-8, cut at the ends of lines, or at blanks where a line is long; each file ends a line."""
        self._start()
        for name in self.files:
            raw = _Digested(sys.stdin.buffer if name == STDIN else existing_file(Path(name)).open("rb"))
            with closing(raw), _guarded(name, _unpacked(name, raw)) as text:
                place = Place("stdin" if name == STDIN else name)
                for piece in cut(_without_mark(text), place.name):
                    yield piece if piece.isascii() else place.checked(piece, self.errors)
                    place.move(piece)
                    if place.offset > most_unpacked(raw.count):
                        raise DataError(bomb(place.name, raw.count))
                yield b"\n"
                self._finish(raw)

    def _start(self) -> None:
        self.sizes, self.digests = [], []

    def _finish(self, raw: _Digested) -> None:
        while raw.read(PIECE):  # what lies behind the packed text belongs to the file as well
            pass
        self.sizes.append(raw.count)
        self.digests.append(raw.digest.hexdigest())

    def _expand(self, path: str | Path) -> list[str]:
        if str(path) == STDIN or not Path(path).is_dir():
            return [STDIN if str(path) == STDIN else str(existing_file(Path(path)))]
        inside = sorted(item for item in Path(path).rglob("*") if item.is_file() and not _hidden(item, Path(path)))
        texts = [str(item) for item in inside if _is_text(item)]
        self.skipped += [str(item) for item in inside if str(item) not in texts]
        if not texts:
            raise DataError(f"{path}: the folder holds no text files ({len(inside)} files looked at)")
        return texts


class Place:
    """How far a file has been read: for the error that says where bytes are not UTF-8."""

    def __init__(self, name: str) -> None:
        self.name, self.offset, self.line = name, 0, 1

    def move(self, piece: bytes) -> None:
        """Go on behind a piece."""
        self.offset += len(piece)
        self.line += piece.count(b"\n")

    def checked(self, piece: bytes, errors: str) -> bytes:
        """The piece in valid UTF-8; DataError if it is not and errors is "strict"."""
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            if errors == "replace":
                return piece.decode(errors="replace").encode()
            line = self.line + piece.count(b"\n", 0, error.start)
            raise DataError(
                f"{self.name}:{line}: byte {self.offset + error.start} of the text (0x{piece[error.start]:02x}) is not "
                "UTF-8; convert the file, or read it with errors: replace to put U+FFFD in its place"
            ) from None
        return piece


class _Digested(io.RawIOBase):
    """A file that counts and hashes the bytes that are read from it."""

    def __init__(self, file: Any) -> None:
        self.file, self.digest, self.count = file, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.count += len(data)
        return len(data)

    def close(self) -> None:
        if self.file is not sys.stdin.buffer:
            self.file.close()
        super().close()


@contextmanager
def _guarded(name: str, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file, closed at the end; whatever goes wrong in reading it becomes a DataError with its name."""
    try:
        with file:
            yield file
    except UnicodeError:
        raise
    except MemoryError as error:  # an .xz says itself how much it takes, up to 4 GB
        raise DataError(f"{name}: takes more memory to unpack than there is; unpack it first") from error
    except DAMAGE as error:
        raise DataError(f"{name}: cannot be read to its end ({error}); copy or download it again") from error


def _unpacked(name: str, raw: _Digested) -> IO[bytes]:
    """The file's text, unpacked if its first bytes say so. DataError if only its ending says so."""
    file = io.BufferedReader(raw, PIECE)
    start = file.peek(8)
    for magic, (ending, opener) in PACKED.items():
        if start.startswith(magic):
            return cast(IO[bytes], opener(file))
        if name.lower().endswith(ending):
            raise DataError(f"{name}: the name ends in {ending}, but the contents do not begin as such a file does")
    return file


def _without_mark(text: IO[bytes]) -> Iterator[bytes]:
    """Blocks of the text, without a byte-order mark at its beginning."""
    first = text.read(PIECE)
    yield first.removeprefix(BYTE_ORDER_MARK)
    while block := text.read(PIECE):
        yield block


def cut(blocks: Iterable[bytes], name: str = "text") -> Iterator[bytes]:
    """The same bytes in pieces that end with a line, or at a blank where a line is longer than a block.

    A word is never cut. DataError where one is so long that no text can have it.
    """
    waiting: list[bytes] = []
    for block in blocks:
        if sum(map(len, waiting)) > LONGEST_WORD:
            raise DataError(f"{name}: has more than {LONGEST_WORD} bytes without a blank or a line's end; is it text?")
        end = block.rfind(b"\n") + 1 or max(block.rfind(b" "), block.rfind(b"\t")) + 1
        if end:
            yield b"".join([*waiting, block[:end]])
            waiting = []
        waiting.append(block[end:])
    if any(waiting):
        yield b"".join(waiting)


def _hidden(item: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in item.relative_to(folder).parts)


def _is_text(path: Path) -> bool:
    """Whether the unpacked beginning of a file has no zero byte, as pictures and programs do."""
    with closing(_Digested(path.open("rb"))) as raw, _guarded(str(path), _unpacked(str(path), raw)) as text:
        start = text.read(SNIFFED)
    return bool(start) and b"\0" not in start
