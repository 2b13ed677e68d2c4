"""One config with several seeds: a run for each in a folder of its own, and how much their results scatter.

    series = Seeds.of("config.yaml", (), None, 5)
    results = {}
    for seed in series.seeds:
        run = series.run(seed)
        for record in run.train():
            ...
        results[seed] = run.finish()
    series.summarize(results)           # OUT/summary.json
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlscratch.config.build import assemble
from dlscratch.config.positions import Document
from dlscratch.config.schema import Config, base_of, effective, load
from dlscratch.errors import CheckpointError, DivergedError, UsageError
from dlscratch.runs.folder import RunFolder, environment, write_json
from dlscratch.runs.run import Run
from dlscratch.runs.stored_config import rebased

SUMMARY = "summary.json"
KIND = "seeds"
PARTS = ("validation", "test")


@dataclass(frozen=True)
class Seeds:
    """A config that was read once, the seeds, and the folder of their runs."""

    document: Document
    config: Config
    base: Path
    folder: Path
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, path: str | Path, overrides: Iterable[str], out: Path | None, count: int) -> Seeds:
        """`count` seeds, the config's own first; the folder is runs/NAME-seeds when `out` is None."""
        document, config = load(path, overrides)
        folder = out or Path("runs") / f"{config.name}-seeds"
        return cls(document, config, base_of(path), folder, tuple(range(config.seed, config.seed + count)))

    def place(self, seed: int) -> Path:
        """The folder of one run."""
        return self.folder / f"seed-{seed}"

    def others(self) -> list[int]:
        """The other seeds of which runs lie in the folder."""
        names = (path.name.removeprefix("seed-") for path in self.folder.glob("seed-*") if RunFolder(path).holds_a_run)
        return sorted({int(name) for name in names if name.isdecimal()} - {*self.seeds})

    def check(self, *, resume: bool, force: bool) -> None:
        """UsageError, before anything is trained, if the folders hold what must not be replaced, or nothing to resume.

        A run lives in a folder of its own, not among those of seeds.
        """
        if RunFolder(self.folder).holds_a_run:
            raise UsageError(f"{self.folder} holds a run; choose another folder for the runs of the seeds (--out)")
        folders = [RunFolder(self.place(seed)) for seed in self.seeds]
        if resume and not any(folder.holds_a_run for folder in folders):
            raise UsageError(f"{self.folder}: there is nothing to resume; start the runs without --resume")
        others = self.others()
        if others and not force:
            advice = "raise --seeds, replace all of them (--force), or choose another folder (--out)"
            raise UsageError(f"{self.folder} also holds the runs of {_seeds(others)}; {advice}")
        for folder in (*folders, *(RunFolder(self.place(seed)) for seed in others)):
            folder.check(force=force or resume)

    def clear(self) -> None:
        """Remove the runs of other seeds, and the summary of what is about to be replaced."""
        for seed in self.others():
            RunFolder(self.place(seed)).remove()
        (self.folder / SUMMARY).unlink(missing_ok=True)

    def diverged(self, seed: int, error: DivergedError) -> DivergedError:
        """The error with the seed that it befell, and those that are not trained for it."""
        left = [other for other in self.seeds if other > seed]
        return DivergedError(f"seed {seed} diverged: {error}" + (f"; not trained: {_seeds(left)}" if left else ""))

    def run(self, seed: int, *, resume: bool = False, force: bool = False) -> Run:
        """The run of a seed, new or to be gone on with."""
        experiment = assemble(self.document, self.config.model_copy(update={"seed": seed}), self.base)
        folder = RunFolder(self.place(seed))
        if resume and folder.holds_a_run:
            return Run.resume(experiment, folder.path)
        return Run.start(experiment, folder.path, force=force)

    def summarize(self, results: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
        """Mean and standard deviation of each metric over the runs' results; written to summary.json."""
        figures = [metrics_of(results[seed]) for seed in self.seeds]
        names = [name for name in figures[0] if all(name in each for each in figures)]
        summary = {
            "kind": KIND,
            "seeds": list(self.seeds),
            "metrics": {name: scatter([each[name] for each in figures]) for name in names},
            "runs": [self._facts(seed, results[seed]) for seed in self.seeds],
            "config": rebased(effective(self.config), self.base, self.folder),
            **environment(),
        }
        write_json(self.folder / SUMMARY, summary)
        return summary

    def _facts(self, seed: int, result: Mapping[str, Any]) -> dict[str, Any]:
        lengths = {key: result[key] for key in ("epochs", "best_epoch")}
        return {"seed": seed, "folder": self.place(seed).name, **lengths}


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def metrics_of(result: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a run's result by name, such as "test accuracy"."""
    return {
        f"{part} {name}": value
        for part in PARTS
        for name, value in result.get(part, {}).items()
        if isinstance(value, float)
    }


def scatter(values: list[float]) -> dict[str, Any]:
    """Mean, standard deviation (over n − 1), least and greatest of two values or more, and these."""
    mean, std = statistics.fmean(values), statistics.stdev(values)
    return {"mean": mean, "std": std, "min": min(values), "max": max(values), "values": values}


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary.json of a folder. CheckpointError: it is not one, or damaged."""
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if summary["kind"] != KIND:
            raise ValueError(f"kind {summary['kind']}")
        for name, figures in summary["metrics"].items():
            values = figures["values"]
            if len(values) < 2 or not all(value is None or isinstance(value, int | float) for value in values):
                raise ValueError(f"{name}: expected two numbers or more, got {values!r:.60}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: is not the summary of runs with several seeds ({error})") from None
    return dict(summary)
