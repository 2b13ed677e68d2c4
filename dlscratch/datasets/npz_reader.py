"""NPZ files, NumPy's archives of arrays, into Arrays; nothing that would need pickle is ever loaded."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Annotated

import numpy as np
from annotated_doc import Doc

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
        try:
            with readable(path), zipfile.ZipFile(path) as archive:
                inputs = _member(path, archive, self.inputs)
                targets = None if self.target is None else _member(path, archive, self.target)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DataError(f"{path}: is not a whole .npz file ({error}); write it again with numpy.savez") from error
        if not inputs.ndim or not len(inputs):
            raise DataError(f'{path}: array "{self.inputs}" of shape {inputs.shape} holds no examples')
        if targets is not None and targets.shape[:1] != inputs.shape[:1]:
            sizes = f'"{self.target}" has shape {targets.shape}, but "{self.inputs}" has shape {inputs.shape}'
            raise DataError(f"{path}: {sizes}; the first sizes must agree")
        return Arrays(inputs, targets, str(path), self.target)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Array:
    """One array of the archive; its header is compared with its size before memory is taken."""
    known = [item.removesuffix(".npy") for item in archive.namelist() if item.endswith(".npy")]
    if name not in known:
        listed = quoted(known) + did_you_mean(name, known)
        raise DataError(f'{path}: there is no array "{name}"; the arrays are {listed}')
    try:
        with archive.open(f"{name}.npy") as file:
            shape, fortran, dtype = _header(file)
            if dtype.hasobject:
                raise DataError(
                    f'{path}: array "{name}" holds Python objects, which need pickle and are never loaded; '
                    "save it as numbers or text, such as x.astype(float)"
                )
            size = dtype.itemsize * math.prod(shape)
            if size > archive.getinfo(f"{name}.npy").file_size:
                raise DataError(f'{path}: array "{name}" claims the shape {shape}, more than the file holds')
            data = file.read()
        return np.ndarray(shape, dtype, data, order="F" if fortran else "C")
    except (ValueError, TypeError) as error:
        raise DataError(f'{path}: array "{name}" is damaged ({error})') from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, order and type from the head of an .npy file; version 3 of the format is for records with named fields."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"format version {version}")
