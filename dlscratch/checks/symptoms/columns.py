"""Symptoms in the columns: some that teach nothing, one that gives the answer away, values too large or too small."""

from __future__ import annotations

import numpy as np

from dlscratch.backend import Array, generator
from dlscratch.checks.symptoms.finding import Finding, graded, skipped, some
from dlscratch.checks.symptoms.patient import Column, Patient

SAME = 0.9999  # a correlation above this is one column twice
MOST_COLUMNS = 1000
FEW_ROWS = 20
GIVEN_AWAY = 0.95, 0.99  # of what there is to guess: a warning, and bad
LARGE = 5, 50  # root mean square of an input: a warning, and bad
TINY = 0.01
FAR = 1e300


def constant_columns(patient: Patient) -> Finding:
    """Inputs that are the same in every row."""
    names = [column.name for column in patient.columns if _constant(column)]
    count, total = len(names), len(patient.columns)
    if count == total:
        advice = "the inputs say nothing: check the files and the preprocessing"
        return Finding("constant columns", "bad", count, "every input is the same in every row", advice)
    if not count:
        return Finding("constant columns", "ok", 0, f"all {total:,} inputs vary")
    if patient.images:
        return Finding("constant columns", "ok", count, f"{count:,} of {total:,} pixels never change, as margins do")
    what = f"{count:,} of {total:,} inputs never change: {some(names)}"
    return Finding("constant columns", "warning", count, what, "they teach nothing: list them under drop")


def duplicated_columns(patient: Patient) -> Finding:
    """Inputs that say what another one says already: equal, or a multiple of it."""
    if patient.images:
        return skipped("duplicated columns", "pixels may be alike")
    if len(patient.columns) > MOST_COLUMNS:
        return skipped("duplicated columns", f"there are more than {MOST_COLUMNS:,} inputs")
    varying = [column for column in patient.columns if not _constant(column)]
    numbers = [column for column in varying if column.numbers]
    pairs = _same_numbers(numbers) + _same_categories([column for column in varying if not column.numbers])
    if not pairs:
        return Finding("duplicated columns", "ok", 0, "no input repeats another")
    what = f"said twice: {some([f'{one} is {other}' for one, other in pairs])}, but for a factor and a shift"
    advice = "list one of each pair under drop: it has nothing more to teach"
    return Finding("duplicated columns", "warning", len(pairs), what, advice)


def _constant(column: Column) -> bool:
    return bool((column.values == column.values[0]).all())


def _same_numbers(columns: list[Column]) -> list[tuple[str, str]]:
    """Each column that is another one before it, but for a factor and a shift; and that other one."""
    if len(columns) < 2:
        return []
    correlations = np.abs(np.corrcoef([column.values.astype(np.float64) for column in columns]))
    same = np.tril(correlations > SAME, -1)
    return [(columns[i].name, columns[int(same[i].argmax())].name) for i in np.flatnonzero(same.any(axis=1))]


def _same_categories(columns: list[Column]) -> list[tuple[str, str]]:
    """Each column that is another one before it, whatever the categories are called; and that other one."""
    first: dict[bytes, str] = {}
    found = []
    for column in columns:
        _, places, codes = np.unique(column.values, return_index=True, return_inverse=True)
        other = first.setdefault(places[codes].tobytes(), column.name)
        found += [(column.name, other)] if other != column.name else []
    return found


def target_in_the_inputs(patient: Patient) -> Finding:
    """Whether one input alone tells the target: each row looks it up at the rows with the nearest values."""
    if len(patient.x) < FEW_ROWS:
        return skipped("target in the inputs", f"there are fewer than {FEW_ROWS} rows")
    columns = patient.columns
    if len(columns) > MOST_COLUMNS:
        chosen = generator(patient.seed, "columns").permutation(len(columns))[:MOST_COLUMNS]
        columns = [columns[number] for number in chosen]
    skills = [_skill(column.values, patient.targets, bool(patient.classes)) for column in columns]
    best = int(np.argmax(skills))
    skill, name = max(skills[best], 0.0), columns[best].name
    what = f'"{name}" alone tells {skill:.1%} of what there is to know of the target'
    advice = f'is "{name}" known before the answer is? If not, list it under drop'
    verdict = graded(skill, *GIVEN_AWAY)
    return Finding("target in the inputs", verdict, skill, what, "" if verdict == "ok" else advice)


def _skill(values: Array, targets: Array, classes: bool) -> float:
    """The part of the target that one column tells: 0 for what guessing gives, 1 for all."""
    order = np.argsort(values, kind="stable")
    known, actual = values[order].astype(np.float64), targets[order]
    gaps = np.concatenate([[FAR], np.diff(known), [FAR]])
    to_left, to_right = gaps[:-1], gaps[1:]
    left, right = np.roll(actual, 1, axis=0), np.roll(actual, -1, axis=0)
    if classes:
        guessing = np.bincount(actual).max() / len(actual)
        told = np.where(to_left <= to_right, left, right)
        return float((np.mean(told == actual) - guessing) / (1 - guessing)) if guessing < 1 else 0.0
    share = (to_left / np.maximum(to_left + to_right, 1 / FAR))[:, None]
    told = left * (1 - share) + right * share
    variance = float(actual.var(axis=0).mean())
    return 1 - float(np.square(told - actual).mean()) / variance if variance else 0.0


def input_scale(patient: Patient) -> Finding:
    """The size of the inputs as the model sees them; weights are made for inputs of about 1."""
    if patient.integers:
        return skipped("input scale", "the inputs are rows of an embedding")
    columns = [column for column in patient.columns if column.numbers and not _constant(column)]
    if not columns:
        return skipped("input scale", "no input is a number")
    squares = np.array([np.square(column.values, dtype=np.float64).mean() for column in columns])
    sizes = np.sqrt(squares.mean(keepdims=True) if patient.images else squares)
    size, where = float(sizes.max()), "" if patient.images else f' ("{columns[int(sizes.argmax())].name}")'
    low, high = min(c.values.min() for c in columns), max(c.values.max() for c in columns)
    what = f"inputs are {low:.4g} to {high:.4g}; the root of their mean square is {size:.3g}{where}"
    scale = high if patient.images and high > 1 else "standard"
    advice = f"set data.preprocessing.scale, for example to {scale}: the first layer expects inputs of about 1"
    verdict = "warning" if size < TINY else graded(size, *LARGE)
    return Finding("input scale", verdict, size, what, "" if verdict == "ok" else advice)
