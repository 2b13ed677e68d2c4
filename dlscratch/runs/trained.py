"""A trained model: the network, the preprocessing it was trained with and the meaning of its outputs, in one file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch import checkpoint
from dlscratch.autograd import no_grad
from dlscratch.backend import Array
from dlscratch.datasets import (
    READERS,
    Arrays,
    Categories,
    Column,
    Part,
    Preprocessor,
    Table,
    own_part,
    preprocessor_from_state,
)
from dlscratch.datasets.cells import is_number, number_name
from dlscratch.errors import CheckpointError, DataError, DlscratchError, UsageError
from dlscratch.nn import LOSSES, Loss, Sequential
from dlscratch.nn.sizes import check_stored
from dlscratch.runs.stored_model import check_model
from dlscratch.training import evaluate
from dlscratch.training.objective import Objective

BATCH = 256  # rows at a time where nothing is trained
OPENED_WITH = {"black box": "replay", "word2vec": "vectors"}  # commands for what is no model

Columns = Mapping[str, Sequence[Any] | Array]
Source = Table | Arrays | Array | Columns | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Predictions:
    """What a model says of each example: a class name and probabilities (N, classes), or numbers (N, k)."""

    name: str
    labels: list[str]
    probabilities: Array | None = None
    values: Array | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels) if self.values is None else len(self.values)

    def columns(self) -> dict[str, list[Any]]:
        """By name: the prediction, and for classes its probability and that of every class."""
        if self.probabilities is None:
            assert self.values is not None
            width = self.values.shape[1]
            names = [self.name] if width == 1 else [f"{self.name} {i}" for i in range(width)]
            return {name: self.values[:, i].tolist() for i, name in enumerate(names)}
        each = {f"probability {name}": self.probabilities[:, i].tolist() for i, name in enumerate(self.classes)}
        return {self.name: list(self.labels), "probability": self.probabilities.max(axis=1).tolist(), **each}

    def to_csv(self) -> str:
        """The columns as CSV with one header line; numbers in the digits that float32 has."""
        columns = {name: list(map(_short, column)) for name, column in self.columns().items()}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()


def _short(value: Any) -> Any:
    return str(np.float32(value)) if isinstance(value, float) and abs(value) < 3e38 else value


@dataclass
class TrainedModel:
    """A network with all that turns raw data into its inputs and its outputs into answers.

    `reader` is the kind and the options of the reader that read the training data; `facts` is the rest of the
    checkpoint's metadata: config, training.
    """

    network: Sequential
    preprocessor: Preprocessor
    loss: dict[str, dict[str, Any]]
    reader: dict[str, dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """What the outputs mean."""
        assert self.preprocessor.target is not None
        return Objective(self.preprocessor.target, next(iter(self.loss)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainedModel:
        """The model that `save` wrote. CheckpointError: damaged, altered, not a model, of an unknown architecture."""
        arrays, metadata = checkpoint.load(path)
        return cls.from_checkpoint(path, arrays, metadata)

    @classmethod
    def from_checkpoint(
        cls, path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any]
    ) -> TrainedModel:
        """The model in the arrays and metadata of a checkpoint."""
        if metadata.get("kind") != "model":
            raise no_model(path, metadata)
        try:
            check_model(metadata)
            weights = {name: array for name, array in arrays.items() if "/" not in name}
            model = cls(
                _network(metadata["architecture"], tuple(metadata["input_shape"]), weights),
                preprocessor_from_state(metadata["preprocessing"]),
                dict(metadata["loss"]),
                dict(metadata["reader"]),
                {key: metadata[key] for key in ("config", "training")},
            )
            model._check_shapes()
        except DlscratchError as error:
            raise CheckpointError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            what = f"{type(error).__name__}: {error}"
            raise CheckpointError(f"{path}: the model's metadata is damaged ({what})") from error
        return model

    def _check_shapes(self) -> None:
        """CheckpointError where the network does not fit what goes in and what is to come out."""
        shapes = {"inputs": self.network.input_shape, "outputs": self.network.output_shape}
        expected = {"inputs": self.preprocessor.input_shape, "outputs": (self.objective.outputs,)}
        for name, shape in shapes.items():
            if shape != expected[name]:
                raise CheckpointError(f"the network has the {name} {shape}, but the data need {expected[name]}")

    def contents(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The arrays and the metadata of the model's checkpoint, as of now: copies of whatever training changes."""
        assert self.network.input_shape is not None
        own = {
            "kind": "model",
            "architecture": self.network.architecture(),
            "input_shape": list(self.network.input_shape),
            "preprocessing": self.preprocessor.state(),
            "classes": list(self.preprocessor.class_names),
            "loss": self.loss,
            "reader": self.reader,
        }
        return self.network.state_dict(), {**own, **{key: dict(value) for key, value in self.facts.items()}}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model, atomically."""
        checkpoint.save(path, *self.contents())

    @np.errstate(all="ignore")
    def predict(self, data: Source) -> Predictions:
        """Predictions for raw rows: files, a dict of columns, an array (N, …), a Table or Arrays, without a target.

        DataError for a row, CheckpointError for a model, whose outputs are no finite numbers.
        """
        raw = self._read(data, with_target=False)
        inputs = self.preprocessor.transform(raw)
        outputs = self.outputs(inputs)
        self._check_finite(raw, outputs)
        target = self.objective.target
        if target.task == "regression":
            return Predictions(target.name, [], values=target.inverse(outputs.astype(np.float64)))
        probabilities = self.objective.probabilities(outputs)
        labels = [target.classes[i] for i in probabilities.argmax(axis=1)]
        return Predictions(target.name, labels, probabilities, classes=target.classes)

    def _check_finite(self, raw: Table | Arrays, outputs: Array) -> None:
        bad = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if len(bad):
            for name, parameter in self.network.named_parameters().items():
                if not np.isfinite(parameter.data).all():
                    raise CheckpointError(f"array {name!r} of the model holds NaN or infinity: it can predict nothing")
            raise DataError(f"{raw.where(int(bad[0]))}: the model's outputs overflow; are the numbers too large?")

    def outputs(self, inputs: Array) -> Array:
        """The network's outputs (N, …) for preprocessed inputs, batch by batch."""
        with no_grad():
            batches = [inputs[start : start + BATCH] for start in range(0, len(inputs), BATCH)]
            return np.concatenate([self.network(self.preprocessor.convert(x)).numpy() for x in batches])

    @np.errstate(all="ignore")
    def evaluate(self, data: Source | Part) -> dict[str, Any]:
        """Loss and metrics on raw rows with their targets, or on a prepared part."""
        part = data if isinstance(data, Part) else own_part(self.preprocessor, self._read(data, with_target=True))
        [(kind, options)] = self.loss.items()
        return evaluate_part(self.network, LOSSES[kind](**options), part, self.objective)

    def _read(self, data: Source, with_target: bool) -> Table | Arrays:
        if isinstance(data, Table | Arrays):
            return data
        if isinstance(data, np.ndarray):
            return Arrays(data, source="the array")
        if isinstance(data, Mapping):
            return _table(data)
        paths = [data] if isinstance(data, str | os.PathLike) else list(data)
        return read_like(self.reader, [str(path) for path in paths], self.preprocessor, with_target)


def no_model(path: str | os.PathLike[str], metadata: Mapping[str, Any]) -> CheckpointError:
    """What to raise where a checkpoint is not of a model; it names the command that opens such a file."""
    kind = str(metadata.get("kind", "something else"))
    how = f"; open it with `dlscratch {OPENED_WITH[kind]}`" if kind in OPENED_WITH else ""
    return CheckpointError(f"{path}: expected a model, got {kind}{how}")


def _network(architecture: list[Any], shape: tuple[int, ...], weights: Mapping[str, Array]) -> Sequential:
    """The network with these weights; nothing larger than they are is made for it."""
    with np.errstate(all="ignore"):  # of first values, which are replaced
        check_stored(architecture, shape, BATCH, sum(array.size for array in weights.values()))
        network = Sequential.from_architecture(architecture, shape)
        network.load_state_dict(weights)
    return network


def _is_text(name: str) -> bool:
    return not is_number(name) or number_name(float(name)) != name


def _table(columns: Columns) -> Table:
    """Columns by name, of numbers or of text; None and NaN are missing."""
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1:
        raise DataError(f"the columns must have one length, and there must be one at least; got {sizes or 'none'}")

    def column(values: Sequence[Any] | Array) -> Column:
        if any(isinstance(value, str) for value in values):
            names = tuple(sorted({str(value) for value in values if value is not None}))
            codes = [-1 if value is None else names.index(str(value)) for value in values]
            return Categories(np.array(codes, np.int32), names)
        return np.array([np.nan if value is None else value for value in values], np.float64)

    return Table({name: column(values) for name, values in columns.items()}, next(iter(sizes.values())), "the columns")


def evaluate_part(network: Sequential, loss: Loss, part: Part, objective: Objective) -> dict[str, Any]:
    """Examples, loss and every metric that the objective has, on a part of the data."""
    part = replace(part, targets=objective.loss_targets(part.targets))
    return {"examples": len(part), **evaluate(network, loss, part.batches(BATCH), objective.metrics(thorough=True))}


def read_like(
    reader: Mapping[str, Mapping[str, Any]], paths: list[str], preprocessor: Preprocessor, with_target: bool
) -> Table | Arrays:
    """New files, read as the training files were: the same delimiter, missing cells, keys …"""
    [(kind, stored)] = reader.items()
    options = dict(stored)
    if kind == "idx":
        if len(paths) != (2 if with_target else 1) and not (len(paths) == 2 and not with_target):
            wanted = "the IDX files of images and labels" if with_target else "the IDX file of images"
            raise UsageError(f"expected {wanted}, got {len(paths)} files")
        options = {"images": paths[0], "labels": paths[1] if with_target else None}
    elif kind == "csv":
        options |= {"path": paths, "drop": None, "categorical": None}
        options["target"] = options["target"] if with_target else None
    else:
        if len(paths) != 1:
            raise UsageError(f"expected one .npz file, got {len(paths)} files")
        options["path"] = paths[0]
        if not with_target:
            options["target"] = None
    kinds, target = dict(preprocessor.kinds), preprocessor.target
    if kinds and with_target and target is not None and any(map(_is_text, target.classes)):
        kinds[target.name] = "categorical"  # classes such as 01, which a column of numbers would read as 1
    data = READERS[kind](**options).read(Path(), kinds or None)
    if with_target and data.target is None:
        raise DataError(f"{paths[0]}: there is no target to evaluate against; predict needs none")
    return data
