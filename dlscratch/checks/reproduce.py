"""Does training give the same model again: from the config, the seed and the data that a checkpoint knows of.

    again = Reproduction.of(Path("runs/digits"))
    for record in again.train(Path("/tmp/again")):
        ...
    print(again.verdict().identical)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.checks.arrays import Change, changes
from dlscratch.checks.material import without_time_limit
from dlscratch.checks.rows import Row, differing, first_epoch
from dlscratch.config.positions import Document
from dlscratch.config.schema import Config, check
from dlscratch.errors import CheckpointError, ConfigError, DivergedError, UsageError
from dlscratch.runs import Run
from dlscratch.runs.folder import MACHINE, RunFolder, environment
from dlscratch.runs.origin import Origin, origin
from dlscratch.runs.places import runs_inside
from dlscratch.runs.trained import no_model
from dlscratch.training import Epoch, Step

VECTORS_AGAIN = "train the config of their run again (word2vec --config … -o again), and compare the two with diff"


@dataclass(frozen=True)
class FirstDifference:
    """Where training first went another way: "epoch 3, steps 41 to 60", or the arrays after the last step."""

    where: str
    name: str
    then: Any
    now: Any


@dataclass(frozen=True)
class Verdict:
    """What was compared, and what differs: in the training, and in the environment (None: it is not known)."""

    model: str
    steps: int
    epochs: int  # lines of metrics.jsonl that were compared
    arrays: int
    numbers: int
    difference: FirstDifference | None
    changed: tuple[Change, ...]
    environment: tuple[Row, ...] | None
    notes: tuple[str, ...]
    diverged: bool = False  # whether the next step diverged both times

    @property
    def identical(self) -> bool:
        """Whether not one bit differs."""
        return self.difference is None


@dataclass(frozen=True)
class Saved:
    """A checkpoint of a run, and after how many steps it was written."""

    path: Path
    step: int
    arrays: dict[str, Array]
    facts: dict[str, Any]


@dataclass
class Reproduction:
    """Checkpoints of one run, the first-written first, what it says of itself, and what the second training has given.

    `facts` is its run.json, and `then` its lines of metrics up to the last checkpoint; both are empty without a folder.
    """

    path: Path
    saved: list[Saved]
    origin: Origin
    config: Config
    facts: dict[str, Any]
    then: list[dict[str, Any]]
    changed: list[Change] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    diverged: bool = False

    @classmethod
    def of(cls, path: Path, data_root: Path | None = None) -> Reproduction:
        """Read a model (best.npz, last.npz) or the folder of a run, and find its data.

        UsageError: nothing says where the data lie. DataError: they are others than then. CheckpointError: damaged.
        """
        saved = sorted(map(_read, _files(path)), key=lambda each: each.step)
        found = origin(saved[-1].path, saved[-1].facts, data_root)
        found.check_data()
        try:
            config = check(Document(os.fspath(path), found.config), Config)
        except ConfigError as error:
            raise CheckpointError(f"{path}: the config in it cannot be used: {error}") from error
        if found.folder is None:
            return cls(path, saved, found, config, {}, [])
        lines = [line for line in found.folder.read_metrics() if line.get("step", 0) <= saved[-1].step]
        return cls(path, saved, found, config, found.folder.read_run(), lines)

    def train(self, folder: Path) -> Iterator[Step | Epoch]:
        """Train up to the step of the last checkpoint; what is written goes into `folder`, which the caller removes."""
        document = Document(os.fspath(self.path), self.origin.config)
        run = Run.start(without_time_limit(document, self.config, self.origin.base), folder)
        try:
            yield from self._followed(run)
        except DivergedError:
            self.diverged = True
        run.save()
        self.lines = run.folder.read_metrics()

    def _followed(self, run: Run) -> Iterator[Step | Epoch]:
        """The records up to the last checkpoint; and one step more, which diverges again, of a run that diverged."""
        records = run.train()
        self._compare(run, 0)  # a run that diverged in its first step has saved what it began with
        for record in records if self.saved[-1].step else ():
            self.step = record.step
            if isinstance(record, Step):
                self._compare(run, record.step)
            yield record
            if record.step >= self.saved[-1].step and (isinstance(record, Epoch) or record.batch < record.batches):
                break
        if self._diverged_then:
            next(records, None)

    @property
    def _diverged_then(self) -> bool:
        """Whether the run diverged at the step after the last checkpoint."""
        return "state" in self.saved[-1].facts and self.facts.get("status") == "diverged"

    def _compare(self, run: Run, step: int) -> None:
        """Compare the weights with those of a checkpoint that was written after this step."""
        for saved in self.saved:
            if saved.step == step:
                now = {name: x for name, x in run.contents()[0].items() if "/" not in name or name in saved.arrays}
                prefix = f"{saved.path.name}: " if len(self.saved) > 1 else ""
                self.changed += [replace(each, name=prefix + each.name) for each in changes(saved.arrays, now)]

    def verdict(self) -> Verdict:
        """What came of it."""
        then = {name: self.facts[name] for name in MACHINE if name in self.facts}
        now = environment()
        return Verdict(
            model=os.fspath(self.path),
            steps=self.saved[-1].step,
            epochs=len(self.then),
            arrays=sum(len(each.arrays) for each in self.saved),
            numbers=sum(array.size for each in self.saved for array in each.arrays.values()),
            difference=self._first(),
            changed=tuple(self.changed),
            environment=tuple(differing(then, {name: now[name] for name in then})) if then else None,
            notes=tuple(_notes(self.facts, self.config)),
            diverged=self.diverged and self._diverged_then,
        )

    def _first(self) -> FirstDifference | None:
        """The first difference in time: an epoch's metrics, the run's length, the arrays."""
        if self.then and (found := first_epoch(self.then, self.lines)):
            epoch, rows = found
            steps = {line["epoch"]: line.get("step", 0) for line in (*self.lines, *self.then)}
            before = max((step for number, step in steps.items() if number < epoch), default=0)
            last = steps.get(epoch, before)
            return FirstDifference(f"epoch {epoch}, steps {before + 1} to {last}", rows[0].name, rows[0].a, rows[0].b)
        if self.step < self.saved[-1].step:
            return FirstDifference("the end", "steps", self.saved[-1].step, self.step)
        if self.changed:
            first = self.changed[0]
            return FirstDifference(f"the arrays after step {self.step}", first.place, first.a, first.b)
        if self.diverged != self._diverged_then:
            return FirstDifference(f"step {self.step + 1}", "diverged", self._diverged_then, self.diverged)
        return None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = RunFolder(path)
    found = [file for file in (folder.best, folder.last) if file.exists()]
    if not found:
        how = f"; {VECTORS_AGAIN if folder.vectors.exists() else 'train first'}"
        raise UsageError(f"{path}: there is no best.npz and no last.npz in this folder{runs_inside(path) or how}")
    return found


def _read(path: Path) -> Saved:
    arrays, facts = checkpoint.load(path)
    if facts.get("kind") == "word2vec":
        raise UsageError(f"{path}: holds word vectors; {VECTORS_AGAIN}")
    if facts.get("kind") != "model":
        raise no_model(path, facts)
    try:
        step = facts["state"]["step"] if "state" in facts else facts["training"]["step"]
        return Saved(path, int(step), arrays, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: it does not say after which step it was saved") from error


def _notes(facts: Mapping[str, Any], config: Config) -> Iterator[str]:
    """What may explain a difference."""
    if resumed := len(facts.get("resumed", ())):
        times = "once" if resumed == 1 else f"{resumed} times"
        yield f"the run was resumed {times}; if training.epochs was raised then, the schedule before it was another"
    if config.training.time_limit is not None:
        yield "training.time_limit was left out here: training goes to the step of the model"
