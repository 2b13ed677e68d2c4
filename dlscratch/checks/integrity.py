"""Is a model or a vectors file whole: every array, the file itself and the data it came from, by their SHA-256."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.config.positions import read
from dlscratch.datasets.sources import resolve
from dlscratch.errors import CheckpointError, DataError, DlscratchError, UsageError
from dlscratch.runs.folder import RunFolder, file_digest
from dlscratch.runs.origin import check_root, origin
from dlscratch.runs.stored_config import leaves
from dlscratch.word2vec.corpus import STDIN, Corpus

Kind = Literal["array", "file", "data"]
NOT_KNOWN = "not known"  # nothing was recorded that it could be compared with, or it cannot be found


@dataclass(frozen=True)
class Checked:
    """One thing that was checked: ok, changed, missing, added, or not known, and why."""

    kind: Kind
    name: str
    status: str
    sha256: str | None  # as it is now
    why: str = ""

    @property
    def bad(self) -> bool:
        """Whether something is wrong, and not only unknown."""
        return self.status not in ("ok", NOT_KNOWN)


@dataclass(frozen=True)
class Integrity:
    """All that was checked of a file."""

    path: str
    findings: tuple[Checked, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.bad for finding in self.findings)

    def check(self) -> None:
        """CheckpointError if the file or an array in it was altered, else DataError if its data were."""
        for kinds, error in ((("array", "file"), CheckpointError), (("data",), DataError)):
            bad = [f"{each.name} is {each.status}" for each in self.findings if each.bad and each.kind in kinds]
            if bad:
                more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
                raise error(f"{self.path}: {', '.join(bad[:3])}{more}")


def verify(path: Path, data_root: Path | None = None) -> Integrity:
    """Check a model or a vectors file.

    The arrays are compared with what its metadata say, the file with run.json beside it, and the data files, found
    through config.yaml beside it or under `data_root`, with their fingerprints. CheckpointError: it cannot be read.
    UsageError: there is no folder `data_root`.
    """
    check_root(data_root)
    arrays, metadata = checkpoint.load_any(path)
    if metadata is None:
        raise CheckpointError(f"{path}: an .npz file, but not one of dlscratch: it holds no SHA-256 to compare with")
    found = [*_arrays(arrays, metadata["arrays"]), _file(path), *_data(path, metadata, data_root)]
    return Integrity(os.fspath(path), tuple(found))


def _arrays(arrays: Mapping[str, Array], facts: Mapping[str, Mapping[str, Any]]) -> Iterator[Checked]:
    for name in {**facts, **arrays}:
        if name not in arrays:
            yield Checked("array", name, "missing", None)
            continue
        array, now = arrays[name], checkpoint.sha256(arrays[name])
        own = {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": now}
        same = name in facts and all(facts[name].get(key) == value for key, value in own.items())
        yield Checked("array", name, "ok" if same else "changed" if name in facts else "added", now)


def _file(path: Path) -> Checked:
    now, facts = file_digest(path), RunFolder(path.parent).read_run()
    then = facts.get("sha256", {}).get(path.name)
    if then is None:
        why = "the run has not ended" if facts.get("status") == "running" else "no run.json beside it tells it"
        return Checked("file", path.name, NOT_KNOWN, now, why)
    return Checked("file", path.name, "ok" if now == then else "changed", now)


def _data(path: Path, metadata: Mapping[str, Any], data_root: Path | None) -> Iterator[Checked]:
    """The data files of a model, or the text of word vectors."""
    try:
        if metadata.get("kind") == "model":
            for file in origin(path, metadata, data_root).data():
                yield Checked("data", file.path, file.status, file.now, file.why)
        elif metadata.get("kind") == "word2vec" and "corpus" in metadata:
            yield _text(path, metadata["corpus"], data_root)
    except UsageError as error:
        yield Checked("data", "data files", NOT_KNOWN, None, str(error))


def _text(path: Path, facts: Mapping[str, Any], data_root: Path | None) -> Checked:
    """All files of a corpus together have one fingerprint."""
    config = RunFolder(path.parent).config
    if not config.exists():
        return Checked("data", "text", NOT_KNOWN, None, "there is no config.yaml beside it to find the text")
    base = path.parent if data_root is None else data_root
    names = [value for key, value in leaves(read(config).values) if key.startswith("corpus[") or key == "corpus"]
    if not names or not all(isinstance(name, str) for name in names):
        return Checked("data", "text", NOT_KNOWN, None, f"{config} does not name the text")
    if STDIN in names:
        return Checked("data", "text", NOT_KNOWN, None, "it came from stdin")
    try:
        now = Corpus([resolve(name, base) for name in names], "replace").read_fingerprint()
    except DlscratchError as error:
        return Checked("data", ", ".join(names), "missing", None, str(error))
    return Checked("data", ", ".join(names), "ok" if now == facts.get("fingerprint") else "changed", now)
