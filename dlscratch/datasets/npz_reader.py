"""NPZ files, NumPy's archives of arrays, into Arrays; nothing that would need pickle is ever loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from annotated_doc import Doc

from dlscratch.archives import Archive, ArchiveError, open_archive
from dlscratch.backend import Array
from dlscratch.datasets.cells import quoted
from dlscratch.datasets.sources import existing_file, readable, resolve
from dlscratch.datasets.tables import Arrays, Kind
from dlscratch.errors import DataError, did_you_mean


class NpzReader:
    """Inputs and targets from an .npz file that `numpy.savez` or `numpy.savez_compressed` wrote."""

    def __init__(
        self,
        path: Annotated[str, Doc("the .npz file")],
        inputs: Annotated[str, Doc("the name of the array of inputs, one example an entry")] = "x",
        target: Annotated[str | None, Doc("the name of the array of targets; null when there is none")] = "y",
    ) -> None:
        self.path = path
        self.inputs = inputs
        self.target = target

    def files(self, base: Path | None = None) -> list[Path]:
        """The file that is read; DataError where it is missing."""
        return [existing_file(resolve(self.path, base))]

    def read(self, base: Path | None = None, kinds: Mapping[str, Kind] | None = None) -> Arrays:
        """The arrays in their own types; `kinds` is for tables."""
        (path,) = self.files(base)
        with opened(path) as archive:
            inputs = _member(path, archive, self.inputs)
            targets = None if self.target is None else _member(path, archive, self.target)
        if not inputs.ndim or not inputs.size:
            raise DataError(f'{path}: array "{self.inputs}" of shape {inputs.shape} holds no examples')
        if targets is not None and targets.shape[:1] != inputs.shape[:1]:
            sizes = f'"{self.target}" has shape {targets.shape}, but "{self.inputs}" has shape {inputs.shape}'
            raise DataError(f"{path}: {sizes}; the first sizes must agree")
        return Arrays(inputs, targets, str(path), self.target)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The open archive; whatever is wrong with it or with an array becomes a DataError."""
    try:
        with readable(path), open_archive(path) as archive:
            yield archive
    except ArchiveError as error:
        raise DataError(f"{path}: {error}") from error


def _member(path: Path, archive: Archive, name: str) -> Array:
    """One array of the archive."""
    if name not in archive.names:
        listed = quoted(archive.names) + did_you_mean(name, archive.names)
        raise DataError(f'{path}: there is no array "{name}"; the arrays are {listed}')
    return archive.read(name)
