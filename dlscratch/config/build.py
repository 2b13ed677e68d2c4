"""From a checked config to the objects that train: data, model, loss, optimizer, schedule."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch.config.embeddings import check_integers, load_initial
from dlscratch.config.options import Spec
from dlscratch.config.positions import Document, Problem
from dlscratch.config.rehearsal import rehearse
from dlscratch.config.schema import LOSS, Config, base_of, effective, load
from dlscratch.datasets import READERS, Batches, Part, Prepared, Preprocessing, fingerprint, prepare
from dlscratch.errors import ConfigError, ShapeError, UsageError
from dlscratch.nn import LOSSES, Sequential
from dlscratch.nn.losses import Loss
from dlscratch.nn.sizes import check_training
from dlscratch.optim import OPTIMIZERS, SCHEDULES
from dlscratch.optim.optimizers import Optimizer
from dlscratch.optim.schedules import Schedule
from dlscratch.training.early_stopping import EarlyStopping
from dlscratch.training.objective import Objective
from dlscratch.training.stopwatch import READING, timed_as

SOFTMAX = ("softmax", "log_softmax")


@dataclass(frozen=True)
class Experiment:
    """All that a run needs, fresh: nothing has been trained yet."""

    config: Config
    base: Path  # where the config's relative paths start
    prepared: Prepared
    files: dict[str, str]  # SHA-256 of each data file
    objective: Objective
    model: Sequential
    loss: Loss
    loss_spec: Spec
    optimizer: Optimizer
    schedule: Schedule | None
    early_stopping: EarlyStopping | None
    warnings: tuple[str, ...]

    @property
    def fingerprints(self) -> list[str]:
        """The SHA-256 of the data files, in the order in which the config names them."""
        return list(self.files.values())

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each part."""
        parts = {name: getattr(self.prepared, name) for name in ("train", "validation", "test")}
        return {name: len(part) for name, part in parts.items() if part is not None}

    def batches(self, part: Part, size: int, *, shuffle: bool = False) -> Batches:
        """A part of the data with the targets as the loss takes them, in batches."""
        part = replace(part, targets=self.objective.loss_targets(part.targets))
        return part.batches(size, shuffle=shuffle, seed=self.config.seed)

    def training_batches(self) -> Batches:
        """The batches of the training, in its order."""
        return self.batches(self.prepared.train, self.config.training.batch_size, shuffle=True)


def build(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read a config (`-`: stdin), its data and make everything in it; errors say where in the config they come from.

    ConfigError: the config, or layers that do not fit the data. DataError: the data.
    """
    document, config = load(path, overrides)
    return assemble(document, config, base_of(path))


@np.errstate(all="ignore")  # what is no finite number is found where it matters, and then said with its place
def assemble(document: Document, config: Config, base: Path) -> Experiment:
    """The experiment that a checked config describes."""
    prepared, files = _data(document, config, base)
    target = prepared.preprocessor.target
    assert target is not None
    default_loss = "cross_entropy" if target.task == "classification" else "mse"
    loss = config.loss or LOSS.validate(default_loss)
    try:
        objective = Objective(target, loss.kind)
    except UsageError as error:
        raise document.error([Problem(("loss",), str(error))]) from None
    model = _model(document, config, prepared, objective)
    check_integers(document, model, prepared)
    files |= fingerprint(load_initial(document, config, base, model))
    _check_smallest_batch(document, config.training.batch_size, model, len(prepared.train))
    optimizer = OPTIMIZERS[config.optimizer.kind](model.named_parameters(), **config.optimizer.options)
    stopping = None if config.training.early_stopping is None else EarlyStopping(**config.training.early_stopping)
    schedule = None if config.schedule is None else SCHEDULES[config.schedule.kind](**config.schedule.options)
    function = LOSSES[loss.kind](**loss.options)
    rehearse(document, config, prepared, objective, model, function, (stopping, schedule))
    return Experiment(
        config, base, prepared, files, objective, model, function, loss, optimizer, schedule, stopping,
        tuple(_warnings(config, loss.kind)),
    )  # fmt: skip


@timed_as(READING)
def _data(document: Document, config: Config, base: Path) -> tuple[Prepared, dict[str, str]]:
    """The prepared parts, and the SHA-256 of every file that they come from."""
    files: list[Path] = []

    def read(spec: Spec) -> Any:
        reader = READERS[spec.kind](**spec.options)
        files.extend(reader.files(base))
        return reader.read(base)

    def part(value: float | Spec) -> Any:
        return read(value) if isinstance(value, Spec) else value

    data = config.data
    raw = read(data.reader)
    parts = {"validation": part(data.validation), "test": part(data.test)}
    preprocessing = Preprocessing(task=data.task, **data.preprocessing)
    return prepare(raw, preprocessing, config.seed, **parts), fingerprint(files)


def _model(document: Document, config: Config, prepared: Prepared, objective: Objective) -> Sequential:
    """The model, built for the data; a ConfigError names the line of the layer that does not fit."""
    rows = min(config.training.batch_size, len(prepared.train))
    model = _network(document, config, prepared.preprocessor.input_shape, rows)
    if model.output_shape != (objective.outputs,):
        raise document.error([Problem(("model", len(config.model) - 1), _wrong_output(model, objective))])
    return model


@np.errstate(all="ignore")
def _network(document: Document, config: Config, shape: tuple[int, ...], rows: int = 1) -> Sequential:
    architecture = [spec.value() for spec in config.model]
    try:
        check_training(architecture, shape, rows)
        return Sequential.from_architecture(architecture, shape, config.seed)
    except (ShapeError, UsageError) as error:
        raise document.error([Problem(_layer_path(str(error)), str(error))]) from None


def untrained(path: str | Path, shape: tuple[int, ...], overrides: Iterable[str] = ()) -> Sequential:
    """The model of a config for inputs of a shape, without its data. ConfigError: the config, or what does not fit."""
    return _network(*load(path, overrides), shape)


def _check_smallest_batch(document: Document, size: int, model: Sequential, rows: int) -> None:
    """ConfigError where the last batch would be a single row, and a layer needs two values of each channel."""
    if (rows - 1) % size:
        return
    for _, layer in model.named_layers():
        if layer.kind.startswith("batch_norm") and math.prod((layer.input_shape or ())[1:]) == 1:
            better = next((f"write {n}" for n in range(size + 1, rows + 2) if (rows - 1) % n), "it needs more rows")
            what = f"of {rows} training rows the last batch would be a single one, too few for {layer.kind}"
            raise document.error([Problem(("training", "batch_size"), f"{what}; {better}")])


def _layer_path(message: str) -> tuple[str | int, ...]:
    """`layers[3] residual, layers[0] linear: …` -> ("model", 3)."""
    found = re.match(r"layers\[(\d+)\]", message)
    return ("model", int(found.group(1))) if found else ("model",)


def _wrong_output(model: Sequential, objective: Objective) -> str:
    target, wanted = objective.target, objective.outputs
    classes = f"{len(target.classes)} classes"
    what = classes if target.task == "classification" else "a number" if wanted == 1 else f"{wanted} numbers"
    got = "x".join(map(str, model.output_shape or ()))
    option = f"out_features: {wanted}"
    advice = f"write {option}" if model[len(model) - 1].kind == "linear" else f"end with linear: {{{option}}}"
    need = f'{objective.loss} of "{target.name}" ({what}) needs {wanted}'
    return f"the model gives {got} numbers an example, but {need}; {advice}"


def _warnings(config: Config, loss: str) -> Iterable[str]:
    """What is allowed and yet hardly meant."""
    last = config.model[-1].kind
    if loss == "cross_entropy" and last in SOFTMAX:
        yield f"model[{len(config.model) - 1}].{last}: cross_entropy takes the softmax itself; leave this layer out"
    if loss == "nll" and last != "log_softmax":
        yield "loss.nll: it takes log-probabilities; end the model with log_softmax, or use cross_entropy"
    if loss == "binary_cross_entropy_with_logits" and last == "sigmoid":
        yield f"model[{len(config.model) - 1}].sigmoid: this loss takes the sigmoid itself; leave this layer out"


__all__ = ["ConfigError", "Experiment", "assemble", "build", "effective", "untrained"]
