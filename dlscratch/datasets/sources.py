"""Where data files are and how they are opened: relative paths, folders, gzip, and fingerprints."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from dlscratch.archives import most_unpacked
from dlscratch.errors import DataError, closest

CLOSE = 0.75  # how much alike the names of files must be for one to be meant by the other
MOST_DEFLATED = 1032  # no deflate stream grows by more than this factor when it is unpacked
BUFFER = 1 << 16
BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


def resolve(path: str | Path, base: Path | None = None) -> Path:
    """The path as it is opened: a relative one starts at `base`, the folder of the config."""
    path = Path(os.path.expanduser(path))  # Path.expanduser reads `./~a` as `~a`, and fails without a user `a`
    return path if base is None else base / path


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system says against reading a file or folder (no permission, a bad disk) into DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def existing_file(path: Path) -> Path:
    """The same path; DataError with a really close name of its folder where there is no such file."""
    with readable(path):
        if path.is_file():
            return path
        if path.is_dir():
            raise DataError(f"{path}: is a folder; expected a file")
        if not path.parent.is_dir():
            raise DataError(f"{path}: no such file, and no folder {path.parent}")
        names = sorted(item.name for item in path.parent.iterdir())
    raise DataError(f"{path}: no such file{_did_you_mean(path.name, names)}")


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    """The closest of some file names, where not only their suffixes are alike."""

    stem = name.partition(".")[0]
    found = closest(name, [other for other in names if closest(stem, [other.partition(".")[0]], CLOSE)], CLOSE)
    return "" if found is None else f'; did you mean "{found}"?'


def expand(paths: Sequence[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """The files that `paths` stand for: a folder stands for its files with one of the suffixes, sorted by name."""
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(existing_file(path))
            continue
        with readable(path):
            inside = sorted(item for item in path.iterdir() if _belongs(item, suffixes))
        if not inside:
            raise DataError(f"{path}: the folder holds no file that ends in {', '.join(suffixes)}")
        files.extend(inside)
    return files


def _belongs(item: Path, suffixes: tuple[str, ...]) -> bool:
    return item.is_file() and not item.name.startswith(".") and item.name.lower().endswith(suffixes)


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed, told by its name."""
    return path.suffix.lower() == ".gz"


def most_bytes(path: Path) -> int:
    """The bytes that can be read of a file: for a `.gz` as many as one of its size may unpack to (see archives.py)."""
    size = path.stat().st_size
    return min(MOST_DEFLATED * size, most_unpacked(size)) if is_gzip(path) else size


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open for reading, through gzip for `.gz`; damage, bombs and refusals that happen inside become DataError."""
    with readable(path):
        try:
            if not is_gzip(path):
                with path.open("rb") as file:
                    yield file
                return
            with gzip.open(path, "rb") as packed, io.BufferedReader(_Unpacked(path, packed), BUFFER) as unpacked:
                yield cast(BinaryIO, unpacked)
        except BROKEN_GZIP as error:
            raise DataError(f"{path}: is not a whole gzip file ({error}); copy or download it again") from error


class _Unpacked(io.RawIOBase):
    """What a gzip file unpacks to; DataError where that is more than its size allows."""

    def __init__(self, path: Path, packed: gzip.GzipFile) -> None:
        self.path, self.packed, self.left = path, packed, most_bytes(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.packed.readinto(buffer)
        self.left -= count
        if self.left < 0:
            raise DataError(bomb(self.path, self.path.stat().st_size))
        return count


def bomb(path: object, size: int) -> str:
    """The message about a packed file that unpacks to more than a file of its size may."""
    what = f"{size} bytes that unpack to more than {most_unpacked(size)}"
    return f"{path}: {what}; refused as a decompression bomb: unpack it first, if you trust it"


def fingerprint(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file's bytes as they lie on the disk, by path; read in small blocks."""
    digests = {}
    for path in paths:
        with readable(path), existing_file(path).open("rb") as file:
            digests[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
