"""What the checks look at: a sample of the training rows, and copies of the model that are trained for a moment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dlscratch.autograd import no_grad, wrap
from dlscratch.backend import Array, generator
from dlscratch.checks.material import fresh_model
from dlscratch.config.build import Experiment
from dlscratch.datasets import Batches
from dlscratch.errors import DivergedError
from dlscratch.nn import Sequential
from dlscratch.nn.sequential import multiplications
from dlscratch.optim import OPTIMIZERS, SCHEDULES, Adam
from dlscratch.pictures.images import image_shape
from dlscratch.training import Step, fit

ROWS = 2000  # of the sample
VALUES = 20_000_000  # in it: fewer rows where examples are large
WORK = 4_000_000_000  # multiplications, forward, of one training
FEWEST, MOST = 40, 200  # steps of it
LOOK = 20  # steps between looks at held-out rows
CHUNK = 256  # rows at a time where nothing is trained
SANE_LR = 3e-3  # Adam's, where not the config's optimizer is in question
BATCH = 32
HELD_OUT = 0.3


@dataclass(frozen=True)
class Column:
    """One input before one-hot encoding: a value for each row of the sample."""

    name: str
    values: Array
    numbers: bool  # rather than codes of categories


@dataclass
class Trial:
    """The first steps of a training: the model after them, the loss of each, and what went wrong."""

    model: Sequential
    losses: list[float] = field(default_factory=list)
    updates: dict[str, list[float]] = field(default_factory=dict)  # |update| / |weight| of each weight, step by step
    error: str = ""


@dataclass(frozen=True)
class Brief:
    """The best moment of a short training: loss and outputs of the rows that it was not trained on."""

    loss: float
    outputs: Array
    steps: int


class Patient:
    """An experiment, and what several checks need of it. Everything random comes from the config's seed."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.seed = experiment, experiment.config.seed
        part = experiment.prepared.train
        wide = math.prod(part.preprocessor.input_shape)
        rows = generator(self.seed, "doctor").permutation(part.rows)[: min(ROWS, max(BATCH, VALUES // wide))]
        self.x = part.preprocessor.convert(part.inputs.take(rows, axis=0))
        self.targets = part.targets.take(rows, axis=0)  # class numbers (N,), or numbers (N, k)
        self.y = experiment.objective.loss_targets(self.targets)
        self.known = len(rows) - int(HELD_OUT * len(rows))  # the others are kept from short trainings

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none for regression."""
        return self.experiment.objective.target.classes

    @property
    def integers(self) -> bool:
        """Whether the inputs are rows of an embedding."""
        return bool(self.x.dtype.kind in "iu")

    @property
    def images(self) -> bool:
        """Whether the inputs are pixels: neighbours are alike, and margins empty."""
        return image_shape(self.experiment.prepared.preprocessor) is not None

    @cached_property
    def columns(self) -> list[Column]:
        """The inputs as columns: those of a table by name, categories as codes; those of arrays by number."""
        flat = self.x.reshape(len(self.x), -1)
        features = getattr(self.experiment.prepared.preprocessor, "features", None)
        if features is None:
            return [Column(f"input {number}", flat[:, number], True) for number in range(flat.shape[1])]
        found, first = [], 0
        for feature in features:
            numbers, width = not hasattr(feature, "categories"), len(feature.names)
            part = flat[:, first : first + width]
            found.append(Column(feature.name, part[:, 0] if numbers else part @ np.arange(1, width + 1), numbers))
            first += width
        return found

    def guess(self, rows: int) -> Array:
        """What a model gives that knows nothing: all classes alike, or the mean."""
        shape = rows, self.experiment.objective.outputs
        if not self.classes:
            return np.broadcast_to(self.targets.mean(axis=0, dtype=np.float64), shape)
        return np.full(shape, -math.log(len(self.classes)) if self.experiment.objective.loss == "nll" else 0.0)

    def model(self) -> Sequential:
        """A copy of the untrained model."""
        return fresh_model(self.experiment)

    def steps(self, batch: int, most: int = MOST) -> int:
        """How many steps a training of so many rows a step may have: fewer of a large model."""
        affordable = WORK // max(1, batch * multiplications(self.experiment.model))
        return min(max(affordable, FEWEST), most)

    def train(self, model: Sequential, x: Array, y: Array, steps: int, lr: float = SANE_LR) -> Iterator[Step]:
        """Train with Adam and the config's loss; DivergedError comes through."""
        size = min(BATCH, len(x))
        x, y = (part[: len(part) - (len(part) % size == 1)] for part in (x, y))  # batch norm needs two rows
        batches = Batches(x, y, size, shuffle=True, seed=self.seed, convert=np.asarray)
        optimizer = Adam(model.named_parameters(), lr=lr)
        epochs = -(-steps // len(batches))
        records = fit(model, self.experiment.loss, optimizer, batches, epochs=epochs, seed=self.seed)
        yield from _first(records, steps)

    def briefly(self, x: Array) -> Brief:
        """A short training with inputs in the place of the patient's own; all but the last rows are trained on."""
        model, best = self.model(), Brief(math.inf, self.guess(len(x) - self.known), 0)
        try:
            for step in self.train(model, x[: self.known], self.y[: self.known], self.steps(BATCH)):
                if step.step % LOOK == 0:
                    outputs = self.outputs(model, x[self.known :])
                    loss = self.loss(outputs, self.y[self.known :])
                    best = min(best, Brief(loss, outputs, step.step), key=lambda brief: brief.loss)
        except DivergedError:
            pass
        return best

    @cached_property
    def brief(self) -> Brief:
        """A short training on the patient's own inputs."""
        return self.briefly(self.x)

    def outputs(self, model: Sequential, x: Array) -> Array:
        """What a model gives for inputs, in evaluation."""
        with no_grad():
            return np.concatenate([model(wrap(x[i : i + CHUNK])).numpy() for i in range(0, len(x), CHUNK)])

    def loss(self, outputs: Array, y: Array) -> float:
        """The config's loss of outputs."""
        with no_grad():
            return float(self.experiment.loss(wrap(outputs), y).item())

    @cached_property
    def trial(self) -> Trial:
        """The first steps of the training that the config describes."""
        config, model = self.experiment.config, self.model()
        options, trial = config.training, Trial(model)
        weights = {name: tensor for name, tensor in model.named_parameters().items() if tensor.ndim > 1}
        schedule = config.schedule and SCHEDULES[config.schedule.kind](**config.schedule.options)
        records = fit(
            model, self.experiment.loss,
            OPTIMIZERS[config.optimizer.kind](model.named_parameters(), **config.optimizer.options),
            self.experiment.training_batches(), epochs=options.epochs, schedule=schedule or None,
            validation=[(self.x[:BATCH], self.y[:BATCH])], metrics=self.experiment.objective.metrics(),
            clip_norm=options.clip_norm, clip_value=options.clip_value, seed=self.seed,
        )  # fmt: skip
        before = {name: tensor.numpy() for name, tensor in weights.items()}
        try:
            for step in _first(records, self.steps(options.batch_size)):
                trial.losses.append(step.loss)
                for name, tensor in weights.items():
                    after, old = tensor.numpy(), before[name]
                    trial.updates.setdefault(name, []).append(_change(old, after))
                    before[name] = after
        except DivergedError as error:
            trial.error = str(error)
        return trial


def _change(before: Array, after: Array) -> float:
    """How far a weight has moved, relative to its size, or to that of usual first values, if these are larger."""
    usual = (before.size / (3 * math.prod(before.shape[1:]))) ** 0.5
    change = float(np.linalg.norm(after - before) / max(np.linalg.norm(before), usual))
    return change if math.isfinite(change) else math.inf


def _first(records: Iterator[object], steps: int) -> Iterator[Step]:
    """The first steps among fit's records."""
    for record in records:
        if isinstance(record, Step):
            yield record
            if record.step >= steps:
                return
