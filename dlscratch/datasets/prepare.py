"""From raw data to what training takes: split, preprocessing fitted on the training rows, batches of each part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array
from dlscratch.datasets.batches import Batches
from dlscratch.datasets.preprocessing import Preprocessing
from dlscratch.datasets.preprocessor import Preprocessor
from dlscratch.datasets.splits import split
from dlscratch.datasets.tables import Arrays, Table
from dlscratch.datasets.targets import find_target


@dataclass(frozen=True)
class Part:
    """Examples for training, validation or test: rows of inputs and targets that the parts may share."""

    preprocessor: Preprocessor
    inputs: Array
    targets: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> Batches:
        """The part's batches."""
        convert = self.preprocessor.convert
        return Batches(
            self.inputs, self.targets, batch_size, rows=self.rows, shuffle=shuffle, seed=seed, convert=convert
        )


@dataclass(frozen=True)
class Prepared:
    """The fitted preprocessor and the parts; a part that nobody asked for is None."""

    preprocessor: Preprocessor
    train: Part
    validation: Part | None
    test: Part | None


def prepare(
    data: Table | Arrays,
    preprocessing: Preprocessing,
    seed: int,
    *,
    validation: float | Table | Arrays = 0.0,
    test: float | Table | Arrays = 0.0,
    stratify: bool = True,
) -> Prepared:
    """Split off fractions of the data, or take data of its own, for validation and test; fit on the rest.

    Classes are stratified unless `stratify` is False. DataError: a class with too few rows, or what the data lack.
    """
    target = find_target(data, preprocessing.task)
    classes = target.encode(data) if stratify and target.task == "classification" else None
    fractions = {"validation": _fraction(validation), "test": _fraction(test)}
    place = f"{data.source}: " if classes is None else f'{data.source}: target "{target.name}": '
    rows = split(len(data), seed, **fractions, classes=classes, class_names=target.classes, place=place)
    preprocessor = preprocessing.fit(data, rows.train)
    inputs, targets = preprocessor.transform(data), preprocessor.transform_targets(data)

    def part(source: float | Table | Arrays, rows: Array) -> Part | None:
        if isinstance(source, Table | Arrays):
            return own_part(preprocessor, source)
        return Part(preprocessor, inputs, targets, rows) if len(rows) else None

    train = Part(preprocessor, inputs, targets, rows.train)
    return Prepared(preprocessor, train, part(validation, rows.validation), part(test, rows.test))


def own_part(preprocessor: Preprocessor, data: Table | Arrays) -> Part:
    """All of some data, as a part: a test file, or the data that `evaluate` is given."""
    inputs, targets = preprocessor.transform(data), preprocessor.transform_targets(data)
    return Part(preprocessor, inputs, targets, np.arange(len(data)))


def _fraction(source: float | Table | Arrays) -> float:
    return 0.0 if isinstance(source, Table | Arrays) else float(source)
