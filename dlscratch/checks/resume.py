"""Does an interruption change anything: 2N steps straight against N, a save, a load and N more, bit by bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from dlscratch import checkpoint
from dlscratch.backend import Array
from dlscratch.checks.arrays import changes
from dlscratch.checks.material import without_time_limit
from dlscratch.checks.rows import differing, without_clock
from dlscratch.config.build import Experiment
from dlscratch.config.schema import base_of, load
from dlscratch.errors import UsageError
from dlscratch.runs import Run
from dlscratch.runs.stored_config import leaves
from dlscratch.training import Step

SAVED = "what was saved at the end"


@dataclass(frozen=True)
class Difference:
    """The first value that is not the same: where ("step 23", "epoch 2", SAVED), its name, and both values."""

    where: str
    step: int  # after which it shows
    name: str
    straight: str
    resumed: str


@dataclass(frozen=True)
class Resumption:
    """What was compared, and the first difference."""

    config: str
    steps: int  # of each run
    interrupted: int  # after so many steps, in this epoch and batch
    epoch: int
    batch: int
    arrays: int  # weights, buffers and the optimizer's, with so many numbers
    numbers: int
    values: int  # records, state and metrics.jsonl
    difference: Difference | None

    @property
    def identical(self) -> bool:
        """Whether not one bit differs."""
        return self.difference is None

    @property
    def repeatable(self) -> bool:
        """False where the runs differ before the interruption: then training differs from itself."""
        return self.difference is None or self.difference.step > self.interrupted


def verify_resume(path: str | Path, folder: Path, overrides: Iterable[str] = (), steps: int = 20) -> Resumption:
    """Train a config for 2 · `steps` steps twice, the second time with an interruption in the middle, and compare.

    The second run is saved to a real file, and goes on in objects that are made anew. A run that is shorter is
    interrupted in its own middle. UsageError: it has a single step. What is written goes into `folder`, which the
    caller removes.
    """
    document, config = load(path, overrides)

    def experiment() -> Experiment:
        return without_time_limit(document, config, base_of(path))

    straight, resumed = _Trace(), _Trace()
    taken = straight.follow(Run.start(experiment(), folder / "straight"), 2 * steps)
    if taken < 2:
        raise UsageError(f"{document.name}: training is over after one step; raise training.epochs to verify it")
    resumed.follow(Run.start(experiment(), folder / "resumed"), taken // 2)
    rest = taken - taken // 2 if taken == 2 * steps else None
    resumed.follow(Run.resume(experiment(), folder / "resumed"), rest)
    return _verdict(str(path), taken // 2, straight, resumed)


@dataclass
class _Trace:
    """All that a run yields on its way, and leaves at the end of it; of two parts of a run, one after the other."""

    records: list[dict[str, Any]] = field(default_factory=list)
    stops: list[tuple[int, int]] = field(default_factory=list)  # epoch and batch at the end of each part
    arrays: dict[str, Array] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def follow(self, run: Run, steps: int | None) -> int:
        """Train so many steps (None: any number) or to the end, then save; how many steps were made."""
        taken, stop = 0, (0, 0)
        for record in run.train():
            self.records.append(without_clock(asdict(record)))
            if isinstance(record, Step):
                taken, stop = taken + 1, (record.epoch, record.batch)
                if taken == steps:
                    break
        run.interrupted()
        self.stops.append(stop)
        self.arrays, metadata = checkpoint.load(run.folder.last)
        self.facts = {"state": without_clock(metadata["state"]), "training": metadata["training"]}
        self.facts["metrics.jsonl"] = [without_clock(line) for line in run.folder.read_metrics()]
        return taken


def _verdict(path: str, half: int, straight: _Trace, resumed: _Trace) -> Resumption:
    values = [value for document in (*straight.records, straight.facts) for _, value in leaves(document)]
    epoch, batch = resumed.stops[0]
    return Resumption(
        config=path,
        steps=straight.records[-1]["step"],
        interrupted=half,
        epoch=epoch,
        batch=batch,
        arrays=len(straight.arrays),
        numbers=sum(array.size for array in straight.arrays.values()),
        values=len(values),
        difference=next(_differences(straight, resumed), None),
    )


def _differences(straight: _Trace, resumed: _Trace) -> Iterator[Difference]:
    """What differs, in the order in which it came about."""
    nothing: dict[str, Any] = {}
    for a, b in zip_longest(straight.records, resumed.records, fillvalue=nothing):
        record = a or b
        where = f"epoch {record['epoch']}" if "values" in record else f"step {record['step']}"
        yield from _unequal(where, step := record["step"], a, b)
    for change in changes(straight.arrays, resumed.arrays):
        yield Difference(SAVED, step, change.place, str(change.a), str(change.b))
    yield from _unequal(SAVED, step, straight.facts, resumed.facts)


def _unequal(where: str, step: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for row in differing(a, b):
        yield Difference(where, step, row.name.removeprefix("values."), repr(row.a), repr(row.b))
