"""IDX files, the format of MNIST, into Arrays: http://yann.lecun.com/exdb/mnist/, "the IDX file format".

Two zero bytes, a type code, the number of dimensions; each dimension as a big-endian uint32; then the values, row by
row, big-endian. The size that the header claims is compared with the file before any memory is taken for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
from annotated_doc import Doc

from dlscratch.backend import Array
from dlscratch.datasets.sources import existing_file, most_bytes, open_binary, resolve
from dlscratch.datasets.tables import Arrays, Kind
from dlscratch.errors import DataError

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 32
PIECE = 1 << 20


class IdxReader:
    """Images (or any arrays) and labels in two IDX files (also .gz), as MNIST and Fashion-MNIST come."""

    def __init__(
        self,
        images: Annotated[str, Doc("the IDX file of the inputs, such as train-images-idx3-ubyte.gz")],
        labels: Annotated[str | None, Doc("the IDX file of the targets; left out when there is none")] = None,
    ) -> None:
        self.images = images
        self.labels = labels

    def files(self, base: Path | None = None) -> list[Path]:
        """The files that are read; DataError where one is missing."""
        names = [self.images] if self.labels is None else [self.images, self.labels]
        return [existing_file(resolve(name, base)) for name in names]

    def read(self, base: Path | None = None, kinds: Mapping[str, Kind] | None = None) -> Arrays:
        """The arrays in the file's own type; `kinds` is for tables."""
        images, *labels = self.files(base)
        inputs = read_idx(images)
        if not inputs.ndim or not inputs.size:
            raise DataError(f"{images}: holds no examples")
        if not labels:
            return Arrays(inputs, None, str(images))
        targets = read_idx(labels[0])
        if targets.shape[:1] != inputs.shape[:1]:
            count = len(targets) if targets.ndim else "no list of"
            raise DataError(f"{labels[0]}: {count} labels, but {images} holds {len(inputs)} images")
        return Arrays(inputs, targets, str(images), "labels")


def read_idx(path: Path) -> Array:
    """The array of one IDX file, in the machine's byte order."""
    with open_binary(path) as file:
        dtype, shape = _header(path, file)
        size = dtype.itemsize * math.prod(shape)
        _check_claim(path, 4 + 4 * len(shape) + size, f"{_times(shape)} values of {dtype.itemsize} bytes")
        data = _read_exactly(file, size + 1)
    if len(data) != size:
        found = "more" if len(data) > size else f"only {len(data)}"
        raise DataError(f"{path}: the header promises {_times(shape)} values ({size} bytes), but {found} bytes follow")
    try:
        return np.ndarray(shape, dtype, data).astype(dtype.newbyteorder("="), copy=False)
    except ValueError as error:  # sizes beside a 0 that no array can have
        raise DataError(f"{path}: the header promises {_times(shape)} values: {error}") from error


def _header(path: Path, file: BinaryIO) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise DataError(f"{path}: is not an IDX file (it begins with {magic.hex(' ') or 'nothing'})")
    if magic[3] > MOST_AXES:
        raise DataError(f"{path}: its header claims {magic[3]} dimensions; an array has {MOST_AXES} at most")
    numbers = file.read(4 * magic[3])
    if len(numbers) < 4 * magic[3]:
        raise DataError(f"{path}: ends inside its header of {magic[3]} dimensions")
    return np.dtype(DTYPES[magic[2]]), tuple(int(size) for size in np.frombuffer(numbers, ">u4"))


def _check_claim(path: Path, size: int, claim: str) -> None:
    """Refuse a header that claims more than the file can hold."""
    if size > most_bytes(path):
        room = f"the file's {path.stat().st_size} bytes can hold"
        raise DataError(f"{path}: the header promises {claim}, more than {room}")


def _read_exactly(file: BinaryIO, size: int) -> bytearray:
    """At most `size` bytes, in pieces, so that memory grows with what is there and not with what was asked for."""
    data = bytearray()
    while len(data) < size and (piece := file.read(min(PIECE, size - len(data)))):
        data += piece
    return data


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"
