"""What is different about two models, two runs, two files of word vectors, or two sets of runs with several seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.checks.arrays import Change, changes
from dlscratch.checks.noise import MetricTest, compare_seeds
from dlscratch.checks.rows import Row, differing, first_epoch, without_clock
from dlscratch.checks.words import common, mean_cosine
from dlscratch.errors import CheckpointError, DlscratchError, UsageError
from dlscratch.runs.folder import MACHINE, RunFolder
from dlscratch.runs.seeds import SUMMARY, read_summary
from dlscratch.runs.stored_config import NEUTRAL, without_paths
from dlscratch.word2vec import formats

Kind = Literal["model", "run", "word vectors", "word2vec run", "arrays", "seeds"]


@dataclass(frozen=True)
class Section:
    """The values of one kind that differ; `counts`: whether the two are then not the same."""

    title: str
    rows: tuple[Row, ...]
    counts: bool = True


@dataclass(frozen=True)
class Comparison:
    """What was compared, and what differs."""

    a: str
    b: str
    kind: Kind
    sections: tuple[Section, ...] = ()
    tensors: tuple[Change, ...] = ()
    compared: int = 0  # arrays
    tests: tuple[MetricTest, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the two are the same: for sets of seeds, whether they differ by no more than noise."""
        return not (self.tensors or any(each.counts for each in self.sections) or any(x.differs for x in self.tests))


def compare(a: Path, b: Path) -> Comparison:
    """Compare two of a kind. UsageError: they are of two kinds, or hold nothing that can be compared."""
    kinds = kind_of(a), kind_of(b)
    if kinds[0] != kinds[1]:
        raise UsageError(f"{a} is of the kind {kinds[0]}, {b} of the kind {kinds[1]}; name two of one kind")
    found = _Found()
    try:
        HOW[kinds[0]](found, a, b)
    except DlscratchError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{a} or {b}: what it says of itself is damaged ({what})") from error
    sections = tuple(section for section in found.sections if section.rows)
    tests, notes = tuple(found.tests), tuple(found.notes)
    names = os.fspath(a), os.fspath(b)
    return Comparison(*names, kinds[0], sections, tuple(found.tensors), found.compared, tests, notes)


def kind_of(path: Path) -> Kind:
    """What lies at a path. UsageError: nothing, or nothing that can be compared."""
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.is_dir():
        folder = RunFolder(path)
        if (path / SUMMARY).exists():
            return "seeds"
        if folder.vectors.exists():
            return "word2vec run"
        if folder.best.exists() or folder.last.exists():
            return "run"
        if not (path / "vectors.tsv").exists():
            raise UsageError(f"{path}: there is no run in this folder that has saved anything, and no vectors")
        return "word vectors"
    if path.suffix != ".npz":
        return _vectors_kind(path)
    _, metadata = checkpoint.load_any(path)
    kind = "" if metadata is None else metadata.get("kind")
    return "model" if kind == "model" else "word vectors" if kind == "word2vec" else "arrays"


def _vectors_kind(path: Path) -> Kind:
    """Word vectors, if the ending is that of a format of theirs."""
    try:
        formats.format_of(path, reading=True)
    except UsageError:
        what = "is no model, run, set of seeds or word vectors; diff compares these"
        raise UsageError(f"{path} {what}") from None
    return "word vectors"


@dataclass
class _Found:
    """What was found so far."""

    sections: list[Section] = field(default_factory=list)
    tensors: list[Change] = field(default_factory=list)
    compared: int = 0
    tests: list[MetricTest] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def documents(self, title: str, a: Any, b: Any, *, counts: bool = True) -> None:
        """A section of what differs between two documents."""
        self.sections.append(Section(title, tuple(differing(a, b)), counts))

    def arrays(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Named arrays."""
        self.tensors += changes(a, b)
        self.compared += len({**a, **b})

    def configs(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
        """Configs but for where the data lie; what cannot change a result does not count."""
        rows = differing(without_paths(a), without_paths(b))
        self.sections.append(Section("config", tuple(row for row in rows if row.name not in NEUTRAL)))
        self.sections.append(Section("how it was run", tuple(row for row in rows if row.name in NEUTRAL), counts=False))

    def checkpoints(self, a: Path, b: Path, prefix: str = "") -> None:
        """Two checkpoints of models."""
        (x, one), (y, other) = checkpoint.load(a), checkpoint.load(b)
        alike = ("state" in one) == ("state" in other)
        self.arrays(*({prefix + k: v for k, v in arrays.items() if alike or "/" not in k} for arrays in (x, y)))
        if not any(section.title == "architecture" for section in self.sections):
            self._descriptions(one, other)
        if alike:
            self.documents(f"{prefix}state", *(without_clock(m.get("state", {})) for m in (one, other)))
        else:
            self.notes.append(f"{a if 'state' in one else b} also holds a training's state: the models are compared")

    def _descriptions(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
        both = one, other
        made = [{"layers": m["architecture"], **_some(m, "input_shape", "classes", "loss")} for m in both]
        self.documents("architecture", *made)
        self.documents("preprocessing", *(m["preprocessing"] for m in both))
        self.configs(*(m["config"] for m in both))
        self.documents("data", *({"SHA-256": m["training"]["data"]} for m in both))
        self.documents("training", *({k: v for k, v in m["training"].items() if k != "data"} for m in both))

    def folders(self, a: Path, b: Path) -> None:
        """What two runs wrote beside their models: metrics, results, and on what machine."""
        both = RunFolder(a), RunFolder(b)
        facts = [folder.read_run() for folder in both]
        if different := first_epoch(*(folder.read_metrics() for folder in both)):
            epoch, rows = different
            self.sections.append(Section(f"metrics, first in epoch {epoch}", tuple(rows)))
        self.documents("result", *(without_clock(each.get("result", {})) for each in facts))
        self.documents("environment", *(_some(each, *MACHINE) for each in facts), counts=False)


def _some(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _runs(found: _Found, a: Path, b: Path) -> None:
    both = RunFolder(a), RunFolder(b)
    for name in ("best.npz", "last.npz"):
        there = [(folder.path / name).exists() for folder in both]
        if all(there):
            found.checkpoints(a / name, b / name, f"{name}: ")
        elif any(there):
            found.sections.append(Section("files", (Row(name, *("there" if each else None for each in there)),)))
    found.folders(a, b)


def _arrays(found: _Found, a: Path, b: Path) -> None:
    (x, one), (y, other) = checkpoint.load_any(a), checkpoint.load_any(b)
    found.arrays(x, y)
    written = ("arrays", "written_by")
    facts = [{k: v for k, v in without_clock(m or {}).items() if k not in written} for m in (one, other)]
    found.documents("metadata", *facts)


def _vectors(found: _Found, a: Path, b: Path) -> None:
    one, other = formats.read(a), formats.read(b)
    shared = common(one.words, other.words)
    found.sections.append(Section("words", shared.rows))
    found.arrays(*shared.arrays(one, other))
    cosine = mean_cosine(one.vectors[shared.a], other.vectors[shared.b]) if found.tensors else None
    if cosine is not None:
        words = f"{len(shared.a):,} words that both have"
        found.notes.append(f"{words}; the mean cosine between the two vectors of a word is {cosine:.4f}")
    if one.metadata and other.metadata:
        found.documents("options", *(_some(table.metadata, "options", "dim") for table in (one, other)))
        found.documents("text", *(table.metadata.get("corpus", {}) for table in (one, other)))


def _word2vec_runs(found: _Found, a: Path, b: Path) -> None:
    _vectors(found, RunFolder(a).vectors, RunFolder(b).vectors)
    found.folders(a, b)


def _seeds(found: _Found, a: Path, b: Path) -> None:
    one, other = read_summary(a), read_summary(b)
    found.documents("config", *(without_paths(each["config"]) for each in (one, other)), counts=False)
    found.documents("seeds", {"seeds": one["seeds"]}, {"seeds": other["seeds"]}, counts=False)
    values = ({name: each["values"] for name, each in x["metrics"].items() if _known(each)} for x in (one, other))
    found.tests += compare_seeds(*values)
    if not found.tests:
        raise UsageError(f"{a} and {b} have no metric in common; they cannot be compared")


def _known(figures: Mapping[str, Any]) -> bool:
    return None not in figures["values"]  # null stands for NaN


HOW: dict[Kind, Callable[[_Found, Path, Path], None]] = {
    "model": _Found.checkpoints,
    "run": _runs,
    "word vectors": _vectors,
    "word2vec run": _word2vec_runs,
    "arrays": _arrays,
    "seeds": _seeds,
}
