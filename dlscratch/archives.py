"""Packed files from anyone, above all .npz: nothing in them is run, evaluated or believed before it is checked.

What holds for every .npz that is opened
    Members are arrays in NumPy's npy format, each name stands once, and a name is never a path. They are stored as they
    are or deflated. A header is matched against a pattern: only numbers, text and times have one that fits; objects
    (which are pickles, and could run code), records and whatever else Python could make of a text do not. The size that
    a header claims is compared with the member's before memory is taken for it, and the zip's checksum with the bytes.

What holds for every packed file (.npz, .gz, .bz2, .xz)
    It may unpack to MOST_UNPACKED times its size, or to ALLOWED bytes, whichever is more: past that it is refused as a
    decompression bomb. Whoever trusts the file unpacks it first.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from dlscratch.backend import Array

ALLOWED = 1 << 28
MOST_UNPACKED = 100
CHUNK = 1 << 20
MOST_HEADER = 10_000  # bytes of an npy header, as in NumPy
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, OverflowError, RuntimeError, ValueError, OSError),
)

FIELD = re.compile(r"'(descr|fortran_order|shape)': *('[^']*'|True|False|\([\d, L]*\)) *(?:, *|$)")
TYPE = re.compile(r"[<>|=]?(?:[biufc](?:1|2|4|8|16|32)|[SU][1-9]\d{0,8}|[mM]8(?:\[\d{0,9}(?:[YMWDhs]|[munpfa]s)\])?)")
LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # signature, version, flags, method, time, date, CRC, two sizes, two lengths
ZIP64 = 0xFFFFFFFF  # the sizes stand in the extra field


class ArchiveError(Exception):
    """What is wrong with an archive or an array; whoever opens it adds the path, and makes it an error of the house."""


def most_unpacked(size: int) -> int:
    """The bytes that a packed file of a size may unpack to."""
    return max(ALLOWED, MOST_UNPACKED * size)


class Archive:
    """An open .npz: its arrays by name, read one by one; ArchiveError for whatever is wrong with one."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.comment = archive.comment
        self._archive = archive
        self._members = _members(archive, size)

    @property
    def names(self) -> list[str]:
        """The names of the arrays, in the order of the archive."""
        return list(self._members)

    def size(self, name: str) -> int:
        """The bytes that an array and its header unpack to."""
        return self._members[name].file_size

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, from its header alone."""
        with self._open(name) as stream:
            return read_header(stream, f"array {name!r}")[0]

    def read(self, name: str) -> Array:
        """One array."""
        with self._open(name) as stream:
            return read_array(stream, f"array {name!r}", self.size(name))

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        with _named(f"array {name!r}"), self._archive.open(self._members[name]) as stream:
            yield stream


@contextlib.contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """The open archive; ArchiveError for whatever is wrong with it, OSError where it cannot be read."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ArchiveError("expected a file, got a folder, a device or a pipe")
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        if not start.startswith(b"PK"):
            raise ArchiveError(f"expected an .npz file, got {_looks_like(start)}")
        try:
            archive = zipfile.ZipFile(file)
            opened = Archive(archive, os.fstat(file.fileno()).st_size)
        except DAMAGE as error:
            if is_damage(error):
                raise ArchiveError(f"the archive is damaged or cut short {_first_damage(file)}: {error}") from error
            raise
        with archive:
            yield opened


def read_array(stream: IO[bytes], what: str, size: int) -> Array:
    """The array in an npy file of so many bytes; ArchiveError, which begins with `what`, if it is damaged.

    Its header must agree with the size before memory is taken for it.
    """
    with _named(what):
        shape, fortran, dtype = read_header(stream, what)
        count = math.prod(shape)
        if count * dtype.itemsize != size - stream.tell():
            raise ArchiveError(f"{what}: its header and its size in the file disagree")
        flat = np.empty(count, dtype)
        _fill(stream, flat)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Say of what is damaged what it is."""
    try:
        yield
    except DAMAGE as error:
        if is_damage(error):
            raise ArchiveError(f"{what} is damaged or cut short: {error}") from error
        raise


def is_damage(error: Exception) -> bool:
    """Whether the file is to blame for an error; EINVAL is what seeking to a place that cannot be gives."""
    return not isinstance(error, OSError) or error.errno == errno.EINVAL


def read_header(stream: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, Fortran order and type from the head of an npy file; ArchiveError, beginning with `what`, if it is none.

    NumPy's own reader evaluates the header as a Python literal; this one matches it against a pattern.
    """
    head = stream.read(8)
    if len(head) < 8 or head[:6] != b"\x93NUMPY" or head[6] not in (1, 2, 3):
        raise ArchiveError(f"{what} is damaged or cut short: it does not begin as an npy file does")
    size = int.from_bytes(stream.read(2 if head[6] == 1 else 4), "little")
    text = stream.read(min(size, MOST_HEADER)).decode("latin-1").strip()
    fields = dict(FIELD.findall(text[1:-1].strip()))
    if text[:1] + text[-1:] != "{}" or FIELD.sub("", text[1:-1].strip()) or len(fields) != 3:
        raise ArchiveError(f"{what} has a header that is not one of numbers or text: {text[:60]!r}")
    descr, fortran, shape = (fields[name] for name in ("descr", "fortran_order", "shape"))
    sizes = [part.strip(" L") for part in shape.strip("()").split(",")]  # 3L was written by Python 2
    if fortran not in ("True", "False") or any(len(part) > 19 for part in sizes):
        raise ArchiveError(f"{what} has a header that claims what no array has: {text[:60]!r}")
    return tuple(int(part) for part in sizes if part), fortran == "True", _type(descr.strip("'"), what)


def _type(name: str, what: str) -> np.dtype[np.generic]:
    if name.lstrip("<>|=") == "O":
        raise ArchiveError(
            f"{what} holds Python objects (a pickle), which could run code and is never loaded; "
            "save it as numbers or text, such as x.astype(float)"
        )
    if TYPE.fullmatch(name):
        with contextlib.suppress(TypeError):  # i32: there is none
            return np.dtype(name)
    raise ArchiveError(f"{what} has the type {name[:60]!r}; expected numbers, text or times")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by array name, after a check that they cannot unpack to far more than the file's own size."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            pickled = "it looks like a PyTorch file, whose pickle could run code"
            hint = pickled if name.endswith(".pkl") else "a spreadsheet or another archive must be saved as CSV"
            raise ArchiveError(f"member {name!r} is not an array; {hint}, or with numpy.savez")
        if name in members:
            raise ArchiveError(f"array {name!r} is in the file twice")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"array {name!r} is packed in a way that no .npz is; write it again with numpy.savez")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise ArchiveError(f"array {name!r} is damaged or cut short: its two sizes in the directory disagree")
        members[name] = member
    if not members:
        raise ArchiveError("an archive without arrays, or at its beginning or end damaged so that none is found")
    unpacked = sum(member.file_size for member in members.values())
    if unpacked > most_unpacked(size):
        largest = max(members, key=lambda name: members[name].file_size)
        what = f"{size} bytes claim to unpack to {unpacked}, most of them in array {largest!r}"
        raise ArchiveError(f"{what}; refused as a decompression bomb: unpack it first, if you trust it")
    return members


def _fill(stream: IO[bytes], flat: Array) -> None:
    """Read the array's bytes; past them the stream must end, where zipfile compares its checksum."""
    target = flat.view(np.uint8).data if flat.size else memoryview(b"")
    done = 0
    while done < len(target):
        chunk = stream.read(min(CHUNK, len(target) - done))
        if not chunk:
            raise EOFError(f"{len(target)} bytes expected, {done} found")
        target[done : done + len(chunk)] = chunk
        done += len(chunk)
    if stream.read(1):
        raise EOFError("more bytes than its header declares")


def _looks_like(start: bytes) -> str:
    if not start:
        return "an empty file"
    if start.startswith(b"\x80"):
        return "a Python pickle, which could run code and is never opened"
    return "a single .npy array" if start.startswith(b"\x93NUM") else "something else"


def _first_damage(file: IO[bytes]) -> str:
    """Where an archive without a directory is not whole, found from the front: `in array 'x'`."""
    file.seek(0)
    where = "at its beginning"
    while len(head := file.read(LOCAL_HEADER.size)) == LOCAL_HEADER.size and head.startswith(b"PK\3\4"):
        *_, method, _, _, checksum, packed, _, letters, more = LOCAL_HEADER.unpack(head)
        name, extra = file.read(letters).decode(errors="replace").removesuffix(".npy"), file.read(more)
        left = int.from_bytes(extra[12:20], "little") if packed == ZIP64 else packed
        found = 0
        while left and (piece := file.read(min(CHUNK, left))):
            found, left = zlib.crc32(piece, found), left - len(piece)
        if left or (found != checksum and method == zipfile.ZIP_STORED):
            return f"in array {name!r}"
        where = f"behind array {name!r}"
    return where
