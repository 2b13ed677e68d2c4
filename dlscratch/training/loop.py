"""The training loop: a generator of records, which the caller draws, writes, saves or drops. It does nothing else.

    for record in fit(model, loss, optimizer, batches, validation=others, epochs=10):
        if isinstance(record, Epoch):
            print(record.epoch, record.values)

A `break` ends the training. At any record the run can be saved, and continued with the same bits: see TrainingState.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dlscratch.autograd import wrap
from dlscratch.backend import Array, generator, keep_memory
from dlscratch.errors import DivergedError, UsageError
from dlscratch.nn import Layer, Loss, data_parallel
from dlscratch.optim import Constant, Optimizer, Schedule, clip_grad_value_
from dlscratch.optim.clipping import gradient_norm, scale_gradients, sum_of_squares
from dlscratch.training.early_stopping import EarlyStopping
from dlscratch.training.metrics import Metric, Results, Totals, evaluate, metrics_of
from dlscratch.training.state import TrainingState


class TrainingBatches(Protocol):
    """What `fit` trains on, such as datasets.Batches: (x, y) in an order that depends on the epoch's number only."""

    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Array, Array]]: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One update of the parameters. All counts begin with 1."""

    epoch: int
    batch: int
    batches: int  # of this epoch
    step: int  # of the whole run
    samples: int
    loss: float  # mean over the batch, before the update
    lr: float
    gradient_norm: float  # before clipping


@dataclass(frozen=True, slots=True)
class Epoch:
    """The end of an epoch, or of the part of one that a time limit left."""

    epoch: int
    step: int
    values: Results  # loss, accuracy … while training; val_loss, val_accuracy … after it
    lr: float  # of the last update
    best: bool  # whether the monitored value is better than ever before
    seconds: float  # training and validation, and what the caller did in between
    samples_per_second: float  # of training
    complete: bool = True  # False where the time limit cut the epoch short
    stopped: bool = False  # whether early stopping ends the run here


def fit(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer,
    train: TrainingBatches,
    *,
    epochs: int,
    validation: Iterable[tuple[Array, Array]] | None = None,
    schedule: Schedule | None = None,
    metrics: Iterable[Metric | str] = (),
    clip_norm: float | None = None,
    clip_value: float | None = None,
    early_stopping: EarlyStopping | None = None,
    restore_best: bool = False,
    time_limit: float | None = None,
    seed: int = 0,
    state: TrainingState | None = None,
) -> Iterator[Step | Epoch]:
    """Train, and yield a Step after each update and an Epoch after each epoch.

    `validation` can be iterated over again after each epoch. Gradients are clipped by value, then by norm.
    `early_stopping` also says which epoch is the best; `restore_best` gives the model that epoch's weights when the
    last record has been taken. `time_limit` is in seconds of the whole run, over all its continuations. `state` is
    moved on and can be saved at each record; a loaded one, with the model and the optimizer as they were, goes on.

    DivergedError: the loss or a gradient is NaN or infinite; the update is not made, and buffers are as before it.
    """
    if epochs < 1 or len(train) == 0:
        raise UsageError(f"fit: expected at least one epoch and one batch, got {epochs} epochs of {len(train)} batches")
    run = _Run(
        model=model, loss=loss, optimizer=optimizer, train=train, epochs=epochs, validation=validation,
        schedule=schedule, metrics=metrics_of(metrics), clip_norm=clip_norm, clip_value=clip_value,
        watch=early_stopping or EarlyStopping(patience=None), restore_best=restore_best,
        time_limit=math.inf if time_limit is None else time_limit, seed=seed, state=state or TrainingState(),
    )  # fmt: skip
    keep_memory()
    return run.records()


@dataclass
class _Run:
    """The arguments of `fit`, and its parts."""

    model: Layer
    loss: Loss
    optimizer: Optimizer
    train: TrainingBatches
    epochs: int
    validation: Iterable[tuple[Array, Array]] | None
    schedule: Schedule | None
    metrics: list[Metric]
    clip_norm: float | None
    clip_value: float | None
    watch: EarlyStopping
    restore_best: bool
    time_limit: float
    seed: int
    state: TrainingState

    def __post_init__(self) -> None:
        state = self.state
        self.parameters = list(self.optimizer.parameters.values())
        self.buffers = [layer.buffers for _, layer in self.model.named_layers()]
        self.totals = Totals([metric for metric in self.metrics if metric.training])
        state.base_lr = self.optimizer.lr if state.base_lr is None else state.base_lr
        schedule = self.schedule or Constant()
        schedule.prepare(state.base_lr, self.epochs, len(self.train))
        state.attach(totals=self.totals, schedule=schedule, early_stopping=self.watch)

    def records(self) -> Iterator[Step | Epoch]:
        """Epoch after epoch, until all are done, the time is over, or early stopping says so."""
        last_is_best = False
        with data_parallel(self.model):
            while self.state.epoch < self.epochs and self.state.seconds < self.time_limit and not self.watch.stopped:
                for record in self._epoch():
                    yield record
                    last_is_best = isinstance(record, Epoch) and record.best
        if self.restore_best and self.state.best_weights is not None and not last_is_best:
            self.model.load_state_dict(self.state.best_weights)

    def _epoch(self) -> Iterator[Step | Epoch]:
        state = self.state
        self.clock = time.perf_counter()
        for x, y in self.train.epoch(state.epoch, start=state.batch):
            try:
                step = self._step(x, y)
            except DivergedError as error:
                error.batch = x, y
                raise
            self._tick()
            yield step
            if state.seconds >= self.time_limit and state.batch < len(self.train):
                yield self._end(complete=False)
                return
        yield self._end(complete=True)

    def _tick(self) -> None:
        """Count the time since the last tick."""
        now = time.perf_counter()
        self.state.seconds += now - self.clock
        self.state.epoch_seconds += now - self.clock
        self.clock = now

    def _step(self, x: Array, y: Array) -> Step:
        """One update: forward, backward, check, clip, move. The graph is freed when this returns."""
        state, optimizer = self.state, self.optimizer
        if self.schedule:
            optimizer.lr = self.schedule.lr(state.epoch, state.step)
        before = [dict(buffers) for buffers in self.buffers]
        with np.errstate(all="ignore"):
            optimizer.zero_grad()
            output = self.model(wrap(x), training=True, rng=generator(self.seed, "dropout", state.step))
            loss = self.loss(output, y)
            value = float(loss.item())
            if math.isfinite(value):
                loss.backward()
            norm = self._norm(value, before)
            self._clip(norm)
            optimizer.step()
            self.totals.add(value, output.data, y)
        state.batch, state.step = state.batch + 1, state.step + 1
        return Step(state.epoch + 1, state.batch, len(self.train), state.step, len(x), value, optimizer.lr, norm)

    def _norm(self, loss: float, before: list[dict[str, Array]]) -> float:
        """The norm of all gradients, if these and the loss are finite."""
        squares = {name: sum_of_squares(p.grad) for name, p in self.optimizer.parameters.items() if p.grad is not None}
        total = math.fsum(squares.values())
        if math.isfinite(loss) and math.isfinite(total):
            return math.sqrt(total)
        bad = [name for name, square in squares.items() if not math.isfinite(square)]
        for buffers, old in zip(self.buffers, before, strict=True):
            buffers.update(old)
        state = self.state
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        what = f"loss {loss:.6g}, NaN or Inf in the gradient of {', '.join(bad[:3])}{more}" if bad else f"loss {loss}"
        raise DivergedError(
            f"epoch {state.epoch + 1}, batch {state.batch + 1} of {len(self.train)} (step {state.step + 1}): {what}, "
            f"with lr {self.optimizer.lr:.6g}; this update was not made. Lower lr, start it with a warmup, set "
            "clip_norm, or look for huge or missing values in the data"
        )

    def _clip(self, norm: float) -> None:
        if self.clip_value is not None:
            clip_grad_value_(self.parameters, self.clip_value)
            norm = gradient_norm(self.parameters) if self.clip_norm is not None else norm
        if self.clip_norm is not None:
            scale_gradients(self.parameters, self.clip_norm / (norm + 1e-6))

    def _end(self, complete: bool) -> Epoch:
        """The record of the epoch; a complete one moves the run on to the next."""
        state, totals = self.state, self.totals
        samples_per_second = totals.samples / max(state.epoch_seconds, 1e-9)
        values = totals.results()
        if self.validation is not None:
            results = evaluate(self.model, self.loss, self.validation, self.metrics)
            values |= {f"val_{name}": result for name, result in results.items()}
        self._tick()
        record = Epoch(
            epoch=state.epoch + 1,
            step=state.step,
            values=values,
            lr=self.optimizer.lr,
            best=self._observe(values) if complete else self.watch.improves(values),
            seconds=state.epoch_seconds,
            samples_per_second=samples_per_second,
            complete=complete,
            stopped=self.watch.stopped,
        )
        if complete:
            totals.reset()
            state.epoch, state.batch, state.epoch_seconds = state.epoch + 1, 0, 0.0
        return record

    def _observe(self, values: Results) -> bool:
        best = self.watch.observe(values, self.state.epoch + 1)
        if self.schedule:
            self.schedule.observe(values)
        if best and self.restore_best:
            self.state.best_weights = self.model.state_dict()
        return best
