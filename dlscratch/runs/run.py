"""One training run and its folder: what `dlscratch train` does, without a terminal.

    run = Run.start(build("config.yaml"), Path("runs/first"))
    for record in run.train():          # Step and Epoch records; files are written as it goes
        ...
    print(run.finish()["test"]["accuracy"])
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch import backend, checkpoint
from dlscratch.backend import Array
from dlscratch.checkpoint import write_text
from dlscratch.config.build import Experiment
from dlscratch.config.positions import to_yaml
from dlscratch.config.schema import effective
from dlscratch.errors import CheckpointError, DataError, DivergedError, UsageError
from dlscratch.nn.sequential import blas_threads
from dlscratch.runs.folder import RunFolder, clock, environment
from dlscratch.runs.stored_config import differences, rebased
from dlscratch.runs.stored_model import check_resumed
from dlscratch.runs.trained import BATCH, TrainedModel, evaluate_part
from dlscratch.training import Epoch, Step, TrainingState, fit, timed_as
from dlscratch.training.stopwatch import SAVING

SAVE_SECONDS = 2.0  # a save takes some 20 ms, most of it waiting for the disk: 1% of the time
SAVE_MINUTES = 10.0  # between two saves inside an epoch, where the config has no checkpoint_every


class Run:
    """An experiment, the folder that its files go to, and how far it is."""

    def __init__(self, experiment: Experiment, folder: RunFolder, state: TrainingState) -> None:
        self.experiment = experiment
        self.folder = folder
        self.state = state
        self.started = time.time()
        self.idle = False  # resumed, with nothing left to do: its record stays as it is
        self._lines: list[dict[str, Any]] = []  # of metrics.jsonl, not yet written
        self._best: tuple[dict[str, Array], dict[str, Any]] | None = None  # contents of best.npz, not yet written
        self._saved = time.monotonic()
        config = effective(experiment.config)
        self.model = TrainedModel(
            experiment.model,
            experiment.prepared.preprocessor,
            {experiment.loss_spec.kind: experiment.loss_spec.options},
            {experiment.config.data.reader.kind: experiment.config.data.reader.options},
            {"config": config, "training": {"seed": experiment.config.seed, "data": experiment.fingerprints}},
        )
        self.facts: dict[str, Any] = {
            **environment(),
            "config": config,
            "seed": experiment.config.seed,
            "data": {"files": experiment.files, "rows": experiment.rows},
            "started": clock(self.started),
        }

    @classmethod
    def start(cls, experiment: Experiment, path: Path, *, force: bool = False) -> Run:
        """A new run; UsageError if the folder holds one already (`force` replaces it)."""
        folder = RunFolder(path)
        folder.claim(force=force)
        run = cls(experiment, folder, TrainingState())
        run._begin()
        return run

    @classmethod
    def resume(cls, experiment: Experiment, path: Path) -> Run:
        """Go on from last.npz with the same bits as without the interruption; epochs may be raised.

        A run that was killed before its first save begins anew. UsageError: no run there, or another config.
        DataError: the data changed. CheckpointError: damaged.
        """
        folder = RunFolder(path)
        before = folder.read_run()
        arrays, metadata = _saved(folder, before)
        try:
            check_resumed(metadata)
            _check_same(path, metadata, experiment)
            run = cls(experiment, folder, _restored(experiment, arrays, metadata) if arrays else TrainingState())
            run.model.facts["training"] = metadata["training"]
        except CheckpointError as error:
            raise CheckpointError(f"{folder.last}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise CheckpointError(f"{folder.last}: the state of the training is damaged ({what})") from error
        run.facts |= {"started": before.get("started", run.facts["started"])}
        run.facts |= {"resumed": [*before.get("resumed", ()), clock(run.started)]}
        run.idle = run.state.epoch >= experiment.config.training.epochs and before.get("status") == "finished"
        if not run.idle:
            folder.lock()
            folder.sweep()
            folder.rewind_metrics(run.state.epoch, metadata.get("lines", ()))
            run._begin()
        return run

    def _begin(self) -> None:
        """Write the config, and run.json with the status of a run under way."""
        config = rebased(effective(self.experiment.config), self.experiment.base, self.folder.path)
        self.folder.write_run({**self.facts, "status": "running"})  # first: a config.yaml alone is nobody's run
        write_text(self.folder.config, to_yaml(config), follow=False)

    def _computing(self) -> AbstractContextManager[None]:
        """The threads that the config allows; BLAS has its part of them."""
        options = self.experiment.config.training
        return backend.limit_threads(options.threads, blas_threads(self.experiment.model, options.batch_size))

    def train(self) -> Iterator[Step | Epoch]:
        """Train to the end, and yield fit's records; the files are whole at any time, at most two seconds
        of epochs behind, and inside an epoch saved as `checkpoint_every` says. Whoever stops taking records calls
        `interrupted()`. DivergedError as `fit`'s.
        """
        with self._computing():
            try:
                for record in self._fit():
                    if isinstance(record, Epoch):
                        self._end_epoch(record)
                    elif self._is_due(record):
                        self.save()
                    yield record
                self.save()
            except DivergedError as error:
                raise self._diverged(error) from None

    def _fit(self) -> Iterator[Step | Epoch]:
        options, experiment = self.experiment.config.training, self.experiment
        validation = experiment.prepared.validation
        return fit(
            experiment.model,
            experiment.loss,
            experiment.optimizer,
            experiment.training_batches(),
            epochs=options.epochs,
            validation=None if validation is None else experiment.batches(validation, BATCH),
            schedule=experiment.schedule,
            metrics=experiment.objective.metrics(),
            clip_norm=options.clip_norm,
            clip_value=options.clip_value,
            early_stopping=experiment.early_stopping,
            time_limit=options.time_limit,
            seed=experiment.config.seed,
            state=self.state,
        )

    def _diverged(self, error: DivergedError) -> DivergedError:
        """Save all, with the black box of the step; the error that then says where it is."""
        from dlscratch.runs import blackbox  # which most runs can do without

        self.save()
        error = blackbox.record(self.folder.black_box, self.experiment, self.state, error)
        self._close("diverged", error=str(error))
        return error

    @timed_as(SAVING)
    def _end_epoch(self, record: Epoch) -> None:
        line = {"epoch": record.epoch, "step": record.step, "lr": record.lr, "seconds": round(record.seconds, 6)}
        self.model.facts["training"] |= {"epoch": record.epoch, "step": record.step, "metrics": record.values}
        if record.complete:
            self._lines.append({**line, **record.values, "best": record.best})
        none_yet = not (self._best or self.folder.best.exists())
        if none_yet or (record.best and record.complete):  # a part of an epoch is no epoch: a resume will end it
            self._best = self.model.contents()
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self.save()

    def _is_due(self, record: Step) -> bool:
        """Whether to save after this step, in the middle of an epoch."""
        every = self.experiment.config.training.checkpoint_every
        if every is not None and every.steps is not None:
            return record.step % every.steps == 0
        minutes = SAVE_MINUTES if every is None or every.minutes is None else every.minutes
        return time.monotonic() - self._saved >= 60 * minutes

    @timed_as(SAVING)
    def save(self) -> None:
        """Bring best.npz, last.npz and metrics.jsonl up to date: in this order, so that the epochs that metrics.jsonl
        tells of are safe. The lines that it lacks when this is cut short are in last.npz, too.
        """
        if self.idle:
            return
        if self._best is not None:
            checkpoint.save(self.folder.best, *self._best, follow=False)
            self._best = None
        arrays, metadata = self.contents()
        checkpoint.save(self.folder.last, arrays, {**metadata, "lines": self._lines}, follow=False)
        self.folder.append_metrics(self._lines)
        self._lines = []
        self._saved = time.monotonic()

    def contents(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The arrays and the metadata of last.npz, as of now: the model, the optimizer's state, the training's."""
        arrays, metadata = self.model.contents()
        optimizer = {f"optimizer/{name}": array for name, array in self.experiment.optimizer.state_dict().items()}
        return {**arrays, **optimizer}, {**metadata, "state": self.state.state_dict()}

    def interrupted(self) -> None:
        """Save everything for a --resume."""
        self.save()
        self._close("interrupted")

    def _close(self, status: str, **more: Any) -> None:
        """Write run.json for the last time, with the SHA-256 of the files that the run leaves."""
        if not self.idle:
            times = {"finished": clock(time.time()), "seconds": round(self.state.seconds, 3)}
            digests = {"sha256": self.folder.digests("best.npz", "last.npz")}
            self.folder.write_run({**self.facts, "status": status, **times, **digests, **more})

    def finish(self) -> dict[str, Any]:
        """The result: the best epoch's model on the validation and test rows; run.json keeps it."""
        best = TrainedModel.load(self.folder.best)
        prepared = self.experiment.prepared
        result: dict[str, Any] = {"epochs": self.state.epoch, "best_epoch": best.facts["training"]["epoch"]}
        for name in ("validation", "test"):
            part = getattr(prepared, name)
            if part is not None:
                with self._computing():
                    result[name] = evaluate_part(best.network, self.experiment.loss, part, self.experiment.objective)
        self._close("finished", result=result)
        return {"folder": os.fspath(self.folder.path), "model": os.fspath(self.folder.best), **result}


def _saved(folder: RunFolder, before: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What last.npz holds; no arrays where the run (`before` is its run.json) was killed before there was one."""
    if folder.last.exists():
        return checkpoint.load(folder.last)
    match before:
        case {"status": "running", "config": config, "seed": seed, "data": {"files": dict(files)}}:
            return {}, {"config": config, "training": {"seed": seed, "data": list(files.values())}}
    how = "anew with --force" if folder.holds_a_run else "the run without --resume"
    raise UsageError(f"{folder.last}: there is nothing to resume; start {how}")


def _check_same(path: Path, metadata: Mapping[str, Any], experiment: Experiment) -> None:
    """UsageError that lists what differs between the run's config and this one; DataError if the data differ."""
    if changed := differences(metadata["config"], effective(experiment.config)):
        advice = "change it back, or start anew with --force"
        raise UsageError("\n  ".join([f"{path} was trained with another config; {advice}:", *changed]))
    if metadata["training"]["data"] != experiment.fingerprints:
        raise DataError(f"{path}: the data files are not those that the run began with; start anew with --force")


@np.errstate(all="ignore")
def _restored(experiment: Experiment, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> TrainingState:
    """The state of the training; the experiment's model and optimizer become those that were saved with it."""
    state = TrainingState()
    state.load_state_dict(metadata["state"])
    experiment.model.load_state_dict({name: x for name, x in arrays.items() if "/" not in name})
    stored = {name.partition("/")[2]: x for name, x in arrays.items() if name.startswith("optimizer/")}
    experiment.optimizer.load_state_dict(stored)
    return state
