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
) -> Split:
    """Deal the rows out by chance; with `classes` (N,), class numbers, each class apart (stratified).

    Every part gets its fraction rounded to a whole row, and at least one row (of each class), training the rest.
    DataError where there are too few rows for that, naming the class. UsageError for impossible fractions.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise UsageError(f"validation is {validation} and test is {test}; expected fractions that leave rows for training")
    rng = generator(seed, "split")
    if classes is None:
        groups = {"data": np.arange(rows)}
    else:
        names = {number: class_names[number] if len(class_names) else str(number) for number in np.unique(classes).tolist()}
        groups = {f'class "{name}"': np.flatnonzero(classes == number) for number, name in names.items()}
    dealt = [_deal(name, group, validation, test, rng) for name, group in groups.items()]
    train, held_out, tested = (np.sort(np.concatenate(parts)) for parts in zip(*dealt, strict=True))
    return Split(train, held_out, tested)


def _deal(name: str, rows: Array, validation: float, test: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Train, validation and test rows of one group."""
    parts = [part for part, share in (("train", 1.0), ("validation", validation), ("test", test)) if share]
    if len(rows) < len(parts):
        count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        raise DataError(
            f"{name} has {count}, too few to split into {', '.join(parts)}; "
            "add rows, leave the class out, or use a smaller number of parts"
        )
    tested, held_out = (_share(len(rows), fraction) for fraction in (test, validation))
    held_out = min(held_out, len(rows) - tested - 1) if validation else 0
    mixed = rng.permutation(rows)
    return mixed[tested + held_out :], mixed[tested : tested + held_out], mixed[:tested]


def _share(rows: int, fraction: float) -> int:
    """The fraction in whole rows, at least one, and no more than leaves two for the other parts."""
    return min(max(1, int(rows * fraction + 0.5)), max(1, rows - 2)) if fraction else 0
