"""The readers by the name that a config gives them, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from dlscratch.datasets.csv_reader import CsvReader
from dlscratch.datasets.idx_reader import IdxReader
from dlscratch.datasets.npz_reader import NpzReader
from dlscratch.datasets.tables import Arrays, Kind, Table


class Reader(Protocol):
    """Reads data files; constructed from a section of the config, whose options are the constructor's signature."""

    def files(self, base: Path | None = None) -> list[Path]:
        """The files that are read, relative paths starting at `base`; DataError where one is missing."""

    def read(self, base: Path | None = None, kinds: Mapping[str, Kind] | None = None) -> Table | Arrays:
        """The data; `kinds` is what a trained model expects of the columns of a table."""


READERS: dict[str, type[CsvReader] | type[NpzReader] | type[IdxReader]] = {
    "csv": CsvReader,
    "npz": NpzReader,
    "idx": IdxReader,
}
