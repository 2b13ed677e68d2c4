"""Named arrays and JSON metadata in one .npz file, written whole or not at all.

The format, version 1
    A zip archive without compression, as `numpy.savez` writes it, that `numpy.load(path, allow_pickle=False)` opens.
    Each array is a member `NAME.npy` in NumPy's npy format, under its state_dict name (`0.weight`,
    `optimizer/square_sum/0.weight`). The member `metadata.npy` is a one-dimensional uint8 array: the UTF-8 bytes of a
    JSON object with at least

        format          "dlscratch"
        format_version  1; a reader refuses a higher one
        written_by      the dlscratch version
        arrays          {NAME: {"dtype": "<f4", "shape": [64, 10], "sha256": "…"}}, in the order of the archive

    `sha256` is taken over the array's bytes in C order. Members have the date 1980-01-01, so equal contents make equal
    files. Nothing in a file is ever executed: objects (pickles) are refused, names are never used as paths, and a size
    that is declared is checked against the bytes that are there before memory is allocated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import secrets
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlscratch._version import __version__
from dlscratch.backend import Array
from dlscratch.errors import CheckpointError, OutputError, UsageError

FORMAT_VERSION = 1
METADATA = "metadata"
CHUNK = 1 << 20
DAMAGE = (lzma.LZMAError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well, and otherwise leaves no trace.

    It is written beside the old file, synced to the disk, and renamed over it. OutputError if the disk is full or the
    folder cannot be written. A device or pipe (`/dev/stdout`) is written directly.
    """
    target = Path(os.path.realpath(path))
    try:
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "wb") as file:
                yield file
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{path}: cannot be written: {reason}; what was there before is unchanged") from error


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def sha256(array: Array) -> str:
    """The SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def save(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
    """Write arrays and JSON metadata to `path`, atomically. OutputError if it cannot be written."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    facts = {
        name: {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": sha256(array)}
        for name, array in arrays.items()
    }
    head = {"format": "dlscratch", "format_version": FORMAT_VERSION, "written_by": __version__}
    if METADATA in arrays:
        raise UsageError(f'{path}: an array cannot be named "{METADATA}"')
    text = json.dumps({**head, **metadata, "arrays": facts}, ensure_ascii=False, allow_nan=True)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in {METADATA: np.frombuffer(text.encode(), np.uint8), **arrays}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the metadata of a file that `save` wrote, each array checked against its SHA-256.

    CheckpointError, with the name of the array, if anything is damaged, missing, added, foreign or too new.
    """
    arrays, metadata = load_any(path)
    if metadata is None:
        raise CheckpointError(f"{path}: an .npz file, but not one of dlscratch: it has no metadata")
    facts = metadata["arrays"]
    for name in facts.keys() | arrays.keys():
        if name not in arrays or name not in facts:
            where = "missing from the file" if name in facts else "in the file but not in its metadata"
            raise CheckpointError(f"{path}: array {name!r} is {where}; the file was altered")
        if sha256(arrays[name]) != facts[name].get("sha256"):
            raise CheckpointError(f"{path}: array {name!r} does not have the SHA-256 it was saved with; it was altered")
    return {name: arrays[name] for name in facts}, metadata


def load_any(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any] | None]:
    """The arrays of any .npz file, and the metadata if it is one of ours (otherwise None). Never unpickles."""
    with _archive(path) as archive:
        members = _members(path, archive)
        text = _read_array(path, archive, members.pop(METADATA)).tobytes() if METADATA in members else None
        metadata = None if text is None else _parse_metadata(path, text)
        return {name: _read_array(path, archive, member) for name, member in members.items()}, metadata


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata alone, without reading the arrays."""
    with _archive(path) as archive:
        members = _members(path, archive)
        if METADATA not in members:
            raise CheckpointError(f"{path}: an .npz file, but not of dlscratch: it has no metadata")
        return _parse_metadata(path, _read_array(path, archive, members[METADATA]).tobytes())


@contextlib.contextmanager
def _archive(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """The open archive; whatever is wrong with the zip structure becomes a CheckpointError."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
            file.seek(0)
            if not start.startswith(b"PK"):
                raise CheckpointError(f"{path}: expected an .npz file, got {_looks_like(start)}")
            with zipfile.ZipFile(file) as archive:
                yield archive
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (*DAMAGE, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: the archive is damaged or cut short: {error}") from error


def _looks_like(start: bytes) -> str:
    if not start:
        return "an empty file"
    if start.startswith(b"\x80"):
        return "a Python pickle, which could run code and is never opened"
    return "a single .npy array" if start.startswith(b"\x93NUM") else "something else"


def _members(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by array name, after a check that they cannot unpack to far more than the file's own size."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            hint = "; it looks like a PyTorch file, whose pickle could run code" if name.endswith(".pkl") else ""
            raise CheckpointError(f"{path}: member {name!r} is not an array{hint}")
        if name in members:
            raise CheckpointError(f"{path}: array {name!r} is in the file twice")
        members[name] = member
    unpacked = sum(member.file_size for member in members.values())
    size = os.path.getsize(path)
    if unpacked > max(20 * size, 1 << 28):
        raise CheckpointError(f"{path}: {size} bytes claim to unpack to {unpacked}; refused as a decompression bomb")
    return members


def _read_array(path: str | os.PathLike[str], archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """One array; its header must agree with the member's size before memory is taken for it."""
    name = member.filename.removesuffix(".npy")
    try:
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read_header(stream)
            if dtype.hasobject:
                raise CheckpointError(f"{path}: array {name!r} holds Python objects (a pickle), which could run code")
            count = 1
            for size in shape:
                count *= size
            if min(shape, default=0) < 0 or count * dtype.itemsize != member.file_size - stream.tell():
                raise CheckpointError(f"{path}: array {name!r}: its header and its size in the file disagree")
            flat = np.empty(count, dtype)
            _fill(stream, flat)
            return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    except (*DAMAGE, EOFError, KeyError, ValueError, TypeError, SyntaxError, OverflowError) as error:
        raise CheckpointError(f"{path}: array {name!r} is damaged or cut short: {error}") from error


def _fill(stream: IO[bytes], flat: Array) -> None:
    """Read the array's bytes; past them the stream must end, where zipfile compares its checksum."""
    target = flat.view(np.uint8).data if flat.size and flat.dtype.itemsize else memoryview(b"")
    done = 0
    while done < len(target):
        chunk = stream.read(min(CHUNK, len(target) - done))
        if not chunk:
            raise EOFError(f"{len(target)} bytes expected, {done} found")
        target[done : done + len(chunk)] = chunk
        done += len(chunk)
    if stream.read(1):
        raise EOFError("more bytes than its header declares")


def _parse_metadata(path: str | os.PathLike[str], text: bytes) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads(text.decode())
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged: {error}") from error
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if not isinstance(version, int) or metadata.get("format") != "dlscratch":
        raise CheckpointError(f"{path}: its metadata is not of dlscratch")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {version}, written by dlscratch {metadata.get('written_by')}; this is dlscratch "
            f"{__version__}, which reads up to version {FORMAT_VERSION}; upgrade with: pip install -U dlscratch"
        )
    facts = metadata.get("arrays")
    if not isinstance(facts, dict) or not all(isinstance(fact, dict) for fact in facts.values()):
        raise CheckpointError(f"{path}: its metadata has no list of arrays")
    return metadata
