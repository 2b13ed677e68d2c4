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

    `sha256` is taken over the array's bytes in C order. The archive's comment is `dlscratch sha256 …`, taken over the
    bytes of that JSON: with the hashes in it, one number for all that the file holds (older files have no comment).
    Members have the date 1980-01-01, so equal contents make equal files. Nothing in a file is ever executed, names are
    never paths, and sizes are checked before memory is taken: see archives.py, whose rules hold here, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlscratch._version import __version__
from dlscratch.archives import Archive, ArchiveError, open_archive
from dlscratch.backend import Array
from dlscratch.errors import CheckpointError, OutputError, UsageError

FORMAT_VERSION = 1
METADATA = "metadata"
MOST_METADATA = 1 << 26  # bytes; Python takes twenty times as much for it
MOST_DEPTH = 100  # of lists and mappings in each other
SEAL = b"dlscratch sha256 "


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, follow: bool = True) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well, and otherwise leaves no trace.

    It is written beside the old file, synced to the disk, and renamed over it. OutputError if the disk is full or the
    folder cannot be written. A device or pipe (`/dev/stdout`) is written directly. The file that a link leads to is
    written in its place, unless `follow` is False: then the file takes the place of the link.
    """
    target = Path(os.path.realpath(path)) if follow else Path(path)
    replaced = not follow and target.is_symlink()
    try:
        if os.path.exists(path) and not replaced and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "wb") as file:
                yield file
            return
        make_folder(target.parent)
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


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, so that they last through a power failure."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str, *, follow: bool = True) -> None:
    """Write a text file in UTF-8 as `atomic_write` does."""
    with atomic_write(path, follow=follow) as file:
        file.write(text.encode(errors="backslashreplace"))


def sha256(array: Array) -> str:
    """The SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any], *, follow: bool = True
) -> None:
    """Write arrays and JSON metadata to `path` as `atomic_write` does. OutputError if it cannot be written."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    facts = {
        name: {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": sha256(array)}
        for name, array in arrays.items()
    }
    head = {"format": "dlscratch", "format_version": FORMAT_VERSION, "written_by": __version__}
    if METADATA in arrays:
        raise UsageError(f'{path}: an array cannot be named "{METADATA}"')
    text = json.dumps({**head, **metadata, "arrays": facts}, ensure_ascii=False, allow_nan=True)
    data = text.encode(errors="backslashreplace")  # which is JSON's own way to write half a character of a file's name
    written = atomic_write(path, follow=follow)
    with written as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.comment = _seal(data)
        for name, array in {METADATA: np.frombuffer(data, np.uint8), **arrays}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _seal(metadata: bytes) -> bytes:
    """The archive's comment: the SHA-256 of its metadata, in which those of the arrays are."""
    return SEAL + hashlib.sha256(metadata).hexdigest().encode()


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the metadata of a file that `save` wrote, each array checked against its SHA-256.

    CheckpointError, with the name of the array, if anything is damaged, missing, added, foreign or too new.
    """
    arrays, metadata = load_any(path)
    if metadata is None:
        raise CheckpointError(f"{path}: an .npz file, but not one of dlscratch: it has no metadata")
    facts = metadata["arrays"]
    for name in {**facts, **arrays}:
        if name not in arrays or name not in facts:
            where = "missing from the file" if name in facts else "in the file but not in its metadata"
            raise CheckpointError(f"{path}: array {name!r} is {where}; the file was altered")
        if sha256(arrays[name]) != facts[name].get("sha256"):
            raise CheckpointError(f"{path}: array {name!r} does not have the SHA-256 it was saved with; it was altered")
        form = {"dtype": arrays[name].dtype.str, "shape": list(arrays[name].shape)}
        if not form.items() <= facts[name].items():
            raise CheckpointError(f"{path}: array {name!r} does not have the shape and type it was saved with")
    return {name: arrays[name] for name in facts}, metadata


def load_any(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any] | None]:
    """The arrays of any .npz file, and the metadata if it is one of ours (otherwise None). Never unpickles."""
    with _opened(path) as archive:
        ours = METADATA in archive.names or archive.comment.startswith(SEAL)
        metadata = _metadata(archive) if ours else None
        return {name: archive.read(name) for name in archive.names if name != METADATA}, metadata


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata alone, without reading the arrays."""
    with _opened(path) as archive:
        if METADATA not in archive.names:
            raise ArchiveError("an .npz file, but not of dlscratch: it has no metadata")
        return _metadata(archive)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """The open archive; whatever is wrong with it or what it holds becomes a CheckpointError."""
    try:
        with open_archive(path) as archive:
            yield archive
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ArchiveError as error:
        config = Path(path).suffix in (".yaml", ".yml")
        advice = f"; a config is trained first: dlscratch train {path}" if config else ""
        raise CheckpointError(f"{path}: {error}{advice}") from error


def _metadata(archive: Archive) -> dict[str, Any]:
    if METADATA not in archive.names:
        raise ArchiveError(f"array {METADATA!r} is missing from the file; it was altered")
    if archive.size(METADATA) > MOST_METADATA:
        raise ArchiveError(f"its metadata has {archive.size(METADATA)} bytes, more than {MOST_METADATA}")
    data = archive.read(METADATA).tobytes()
    if archive.comment.startswith(SEAL) and archive.comment != _seal(data):
        raise ArchiveError("its metadata does not have the SHA-256 it was saved with; it was altered")
    try:
        metadata: dict[str, Any] = json.loads(data.decode())
        _check_depth(metadata)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number of thousands of digits, too deep
        raise ArchiveError(f"its metadata is damaged: {error}") from error
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if not isinstance(version, int) or metadata.get("format") != "dlscratch":
        raise ArchiveError("its metadata is not of dlscratch")
    if version > FORMAT_VERSION:
        raise ArchiveError(
            f"format version {version}, written by dlscratch {metadata.get('written_by')}; this is dlscratch "
            f"{__version__}, which reads up to version {FORMAT_VERSION}; upgrade with: pip install -U dlscratch"
        )
    facts = metadata.get("arrays")
    if not isinstance(facts, dict) or not all(isinstance(fact, dict) for fact in facts.values()):
        raise ArchiveError("its metadata has no list of arrays")
    return metadata


def _check_depth(value: Any) -> None:
    """ValueError for JSON so deep that going through it would exhaust Python's stack."""
    level = [value]
    for _ in range(MOST_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [item for items in inner for item in items]
    if level:
        raise ValueError(f"nested deeper than {MOST_DEPTH} levels")
