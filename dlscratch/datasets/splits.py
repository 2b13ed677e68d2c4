"""Rows for training, validation and test, from the seed and the order of the data alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlscratch.backend import Array, generator
from dlscratch.errors import DataError, UsageError


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, each ascending; a part that was not asked for is empty."""

    train: Array
    validation: Array
    test: Array


def split(
    rows: int,
    seed: int,
    *,
    validation: float = 0.0,
    test: float = 0.0,
    classes: Array | None = None,
    class_names: Sequence[str] = (),
    place: str = "",
) -> Split:
    """Deal the rows out by chance; with `classes` (N,), class numbers, each class apart (stratified).

    Every part gets its fraction rounded to a whole row, and at least one row (of each class), training the rest.
    DataError where there are too few rows for that, naming `place` and the class. UsageError for impossible fractions.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise UsageError(f"validation is {validation} and test is {test}; expected fractions with a sum below 1")
    groups = {"data": np.arange(rows)} if classes is None else _by_class(classes, class_names)
    rng = generator(seed, "split")
    dealt = [_deal(place + name, group, validation, test, rng) for name, group in groups.items()]
    return Split(*(np.sort(np.concatenate(parts)) for parts in zip(*dealt, strict=True)))


def _by_class(classes: Array, names: Sequence[str]) -> dict[str, Array]:
    """The rows of each class that occurs, by the name to use in messages."""
    numbers, starts = np.unique(np.sort(classes), return_index=True)
    groups = np.split(np.argsort(classes, kind="stable"), starts[1:])
    return {f'class "{names[n] if names else n}"': rows for n, rows in zip(numbers.tolist(), groups, strict=True)}


def _deal(
    name: str, rows: Array, validation: float, test: float, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Train, validation and test rows of one group."""
    parts = [part for part, share in (("train", 1.0), ("validation", validation), ("test", test)) if share]
    if len(rows) < len(parts):
        count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        fewer = (" and " if len(rows) == 1 else " or ").join(f"{part}: 0" for part in parts[1:])
        out = "" if name.endswith("data") else " take its rows out of the file,"
        advice = f"add rows,{out} or write {fewer}"
        raise DataError(f"{name} has {count}, too few to split into {', '.join(parts)}; {advice}")
    tested = _share(len(rows), test, reserve=len(parts) - 1)
    held_out = _share(len(rows), validation, reserve=tested + 1)
    mixed = rng.permutation(rows)
    return mixed[tested + held_out :], mixed[tested : tested + held_out], mixed[:tested]


def _share(rows: int, fraction: float, reserve: int) -> int:
    """The fraction in whole rows, at least one, leaving at least `reserve`."""
    return min(max(1, int(rows * fraction + 0.5)), rows - reserve) if fraction else 0
