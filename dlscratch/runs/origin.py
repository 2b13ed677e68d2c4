"""Where a model came from: its config, with paths that lead to its data files, and whether these are still the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from dlscratch.config.positions import read
from dlscratch.datasets.csv_reader import SUFFIXES
from dlscratch.datasets.sources import expand, fingerprint, resolve
from dlscratch.errors import CheckpointError, DataError, DlscratchError, UsageError
from dlscratch.runs.folder import RunFolder
from dlscratch.runs.stored_config import PATHS, differences, with_paths

Status = Literal["ok", "changed", "missing", "added"]
NOT_READERS = ("validation", "test", "preprocessing")  # the other mappings under `data`


@dataclass(frozen=True)
class DataFile:
    """A data file, and its SHA-256 when the model was trained and now."""

    path: str
    then: str | None
    now: str | None
    tried: tuple[str, ...] = ()  # where else it was looked for

    @property
    def status(self) -> Status:
        """What became of the file."""
        if self.now is None:
            return "missing"
        return "added" if self.then is None else "ok" if self.then == self.now else "changed"

    @property
    def why(self) -> str:
        """Where a missing file was looked for."""
        return " nor ".join(["there is no such file", *self.tried]) if self.status == "missing" else ""


@dataclass(frozen=True)
class Origin:
    """The config that a model was trained with; its relative paths start at `base`. `digests` are of the data files;
    `folder` is that of its run, if the model still lies there; `root`, if named, also holds files by their names.
    """

    config: dict[str, Any]
    base: Path
    digests: tuple[str, ...]
    folder: RunFolder | None
    root: Path | None = None

    def data(self) -> list[DataFile]:
        """The data files in the order in which they are read, compared with those of the training."""
        paths = list(dict.fromkeys(map(str, self._files())))
        now = [fingerprint([Path(path)])[path] if os.path.isfile(path) else None for path in paths]
        rows = zip_longest(map(os.path.realpath, paths), self.digests, now)
        unnamed = "a file that the config does not name"
        return [DataFile(path or unnamed, then, digest, self._tried(path)) for path, then, digest in rows]

    def _tried(self, path: str | None) -> tuple[str, ...]:
        """Where else a file was looked for: under the root with no more than its name."""
        if self.root is None or path is None:
            return ()
        short = os.path.realpath(self.root / Path(path).name)
        return () if short == path else (short,)

    def check_data(self) -> None:
        """DataError that names every file that is not the one of the training."""
        bad = [file for file in self.data() if file.status != "ok"]
        if bad:
            lines = [f"{file.path}: {_what(file)}" for file in bad]
            raise DataError("\n  ".join(["the data are not those that the model was trained on:", *lines]))

    def _files(self) -> Iterator[Path]:
        for name in named_paths(self.config):
            path = resolve(name, self.base)
            yield from expand([path], SUFFIXES) if path.is_dir() else [path]


def origin(path: Path, facts: Mapping[str, Any], data_root: Path | None = None) -> Origin:
    """The origin of the model at `path`, whose checkpoint holds the facts.

    Paths start at `data_root`, or at the folder of the run's config.yaml beside the model. UsageError: neither tells.
    """
    check_root(data_root)
    try:
        config, digests = dict(facts["config"]), tuple(map(str, facts["training"]["data"]))
        own, why = _beside(path, config)
        base = Path()
        if data_root is not None:
            config = with_paths(config, lambda name: _under(name, data_root))
        elif own is not None:
            config, base = {**config, **{key: own[key] for key in ("data", "initial") if key in own}}, path.parent
        elif not all(os.path.isabs(name) for name in named_paths(config)):
            raise UsageError(f"{why}; name the folder of its data files with --data-root")
        if not all(isinstance(name, str) for name in named_paths(config)):
            raise TypeError("a path is no text")
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: what it says of its training is damaged ({type(error).__name__})") from error
    return Origin(config, base, digests, None if own is None else RunFolder(path.parent), data_root)


def check_root(data_root: Path | None) -> None:
    """UsageError if what a person named as the folder of the data files is none."""
    if data_root is not None and not data_root.is_dir():
        raise UsageError(f"--data-root {data_root}: there is no such folder")


def _beside(path: Path, config: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The config.yaml beside a model; or None, and why it is not that of the model's run."""
    file = RunFolder(path.parent).config
    if not file.exists():
        return None, f"{path}: there is no config.yaml beside it to find its data"
    try:
        own = read(file).values
        changed = differences(config, own)
    except (DlscratchError, KeyError, TypeError, AttributeError) as error:
        return None, f"{file}: cannot be used to find the data ({error})"
    return (None, f"{file} is not of the run that made {path.name} ({changed[0]})") if changed else (own, "")


def _under(name: str, root: Path) -> str:
    """The file as the config names it under a root, or with no more than its name."""
    places = [root / name, root / Path(name).name]
    return str(next((place for place in places if place.exists()), places[0]))


def named_paths(config: Mapping[str, Any]) -> list[str]:
    """The paths in a config, in the order in which the files are read."""
    data = config["data"]
    readers = [value for key, value in data.items() if isinstance(value, Mapping) and key not in NOT_READERS]
    readers += [inner for key in ("validation", "test") for inner in _values(data.get(key))]
    names = [reader.get(key) for reader in readers for key in PATHS]
    listed = [name for value in names for name in _listed(value)]
    return [*listed, *config.get("initial", {}).values()]


def _values(part: object) -> Sequence[Any]:
    return list(part.values()) if isinstance(part, Mapping) else []


def _listed(value: Any) -> list[str]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _what(file: DataFile) -> str:
    then, now = (digest[:12] if digest else "none" for digest in (file.then, file.now))
    if file.status == "changed":
        return f"its SHA-256 was {then}… and is {now}…"
    return file.why or "it was not there then"
