"""The rows of the data that a report shows: which ones, what the model says of them, and what they look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlscratch.backend import Array
from dlscratch.config.build import Experiment
from dlscratch.config.options import Spec
from dlscratch.datasets import READERS, Arrays, Categories, Part, Preprocessor, Table
from dlscratch.datasets.cells import number_name
from dlscratch.pictures.images import brightness, image_shape, pixels_of
from dlscratch.pictures.png import data_uri
from dlscratch.runs.trained import TrainedModel
from dlscratch.training.metrics import classes_of

TOP = 12  # mistakes in a list
MISTAKES, HITS = 12, 6  # examples of each cell of the confusion matrix
MOST_EXAMPLES = 2000
MOST_POINTS = 2000  # of a scatter plot
MOST_COLUMNS = 20


@dataclass(frozen=True)
class Rows:
    """The raw rows of a part, as they were in the file."""

    data: Table | Arrays
    rows: Array
    preprocessor: Preprocessor

    @classmethod
    def of(cls, experiment: Experiment, name: str, part: Part, preprocessor: Preprocessor) -> Rows:
        """The rows of the experiment's part of this name, read once more: training keeps the preprocessed ones only."""
        data = experiment.config.data
        own = getattr(data, name, None)
        spec = own if isinstance(own, Spec) else data.reader
        return cls(READERS[spec.kind](**spec.options).read(experiment.base), part.rows, preprocessor)

    @property
    def columns(self) -> list[str]:
        """The names of what `look` gives as cells; none for images."""
        if image_shape(self.preprocessor):
            return []
        if isinstance(self.data, Table):
            return [name for name in self.preprocessor.kinds if name in self.data.columns][:MOST_COLUMNS]
        values = self.data.inputs.reshape(len(self.data), -1).shape[1]
        return [f"input {number}" for number in range(min(values, MOST_COLUMNS))]

    def where(self, index: int) -> str:
        """The place of a row: `penguins.csv:17`, or `images.npz[321]`, as NumPy counts."""
        row = int(self.rows[index])
        return Path(f"{self.data.source}[{row}]" if isinstance(self.data, Arrays) else self.data.where(row)).name

    def look(self, indices: list[int]) -> list[dict[str, Any]]:
        """What some rows look like: `where`, and an `image` or `cells`."""
        places = [{"where": self.where(index)} for index in indices]
        shape = image_shape(self.preprocessor)
        if shape is None:
            return [place | {"cells": self._cells(index)} for place, index in zip(places, indices, strict=True)]
        inputs = self._inputs()
        pixels = pixels_of(inputs[self.rows[indices]], *shape, *brightness(inputs))
        return [place | {"image": data_uri(image)} for place, image in zip(places, pixels, strict=True)]

    def _inputs(self) -> Array:
        """The inputs as an array: pixels in columns side by side."""
        if isinstance(self.data, Arrays):
            return self.data.inputs
        columns = [self.data.columns[name] for name in self.preprocessor.kinds]
        pixels: Array = np.stack([column for column in columns if isinstance(column, np.ndarray)], axis=1)
        return np.where(np.isnan(pixels), 0.0, pixels)

    def _cells(self, index: int) -> list[str | None]:
        row, columns = int(self.rows[index]), self.columns
        if isinstance(self.data, Arrays):
            return [f"{value:.6g}" for value in self.data.inputs[row].reshape(-1)[: len(columns)].tolist()]
        return [_cell(self.data.columns[name], row) for name in columns]


def _cell(column: Array | Categories, row: int) -> str | None:
    """A cell as text; None where it is missing."""
    if isinstance(column, Categories):
        return column.cell(row)
    return None if np.isnan(column[row]) else number_name(float(column[row]))


def classification(model: TrainedModel, part: Part, rows: Rows) -> dict[str, Any]:
    """Examples of every cell of the confusion matrix, and the mistakes to look at first, as places among them."""
    actual = part.targets[part.rows]
    outputs = model.outputs(part.inputs[part.rows])
    predicted = classes_of(outputs, model.objective.loss_targets(actual))[0]
    probabilities = model.objective.probabilities(outputs)
    each = np.arange(len(actual))
    said, own = probabilities[each, predicted], probabilities[each, actual]
    wrong = np.flatnonzero(predicted != actual)
    lists = {
        "confident": wrong[np.argsort(-said[wrong], kind="stable")][:TOP].tolist(),
        "worst": wrong[np.argsort(own[wrong], kind="stable")][:TOP].tolist(),
    }
    chosen = _choose(actual, predicted, said, [*lists["confident"], *lists["worst"]])
    numbers = {"actual": actual, "predicted": predicted, "probability": said, "own_probability": own}
    examples = [
        {**look, **{name: values[index].item() for name, values in numbers.items()}}
        for index, look in zip(chosen, rows.look(chosen), strict=True)
    ]
    places = {index: place for place, index in enumerate(chosen)}
    return {"examples": examples, "mistakes": {k: [places[i] for i in found] for k, found in lists.items()}}


def _choose(actual: Array, predicted: Array, said: Array, first: Iterable[int]) -> list[int]:
    """Rows to show: those named first, the most confident mistakes of each cell, its hits that were nearest to one."""
    chosen = dict.fromkeys(first)
    taken = Counter((int(actual[index]), int(predicted[index])) for index in chosen)
    right = actual == predicted
    for index in np.lexsort((np.where(right, said, -said), right)).tolist():
        pair = (int(actual[index]), int(predicted[index]))
        if index not in chosen and taken[pair] < (HITS if right[index] else MISTAKES) and len(chosen) < MOST_EXAMPLES:
            chosen[index] = None
            taken[pair] += 1
    return list(chosen)


def regression(model: TrainedModel, part: Part, rows: Rows) -> dict[str, Any]:
    """Predicted and actual numbers of (evenly chosen) rows, and the rows with the largest residuals."""
    target = model.objective.target
    predicted = _figures(target.inverse(model.outputs(part.inputs[part.rows]).astype(np.float64)))
    actual = _figures(target.inverse(part.targets[part.rows].astype(np.float64)))
    largest = np.argsort(-np.abs((predicted - actual) / target.std).max(axis=1), kind="stable")[:TOP].tolist()
    shown = np.unique(np.linspace(0, len(actual) - 1, min(len(actual), MOST_POINTS)).astype(int)).tolist()
    examples = [
        {**look, "actual": actual[index].tolist(), "predicted": predicted[index].tolist()}
        for index, look in zip(largest, rows.look(largest), strict=True)
    ]
    points = {
        "where": [rows.where(index) for index in shown],
        "actual": actual[shown].T.tolist(),
        "predicted": predicted[shown].T.tolist(),
    }
    return {"examples": examples, "points": points}


def _figures(values: Array) -> Array:
    """Numbers that went through float32, with the seven digits that are theirs."""
    return np.array([[float(f"{value:.7g}") for value in row] for row in values.tolist()])
