"""Symptoms in the rows: how the targets are spread, and rows that stand in two parts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dlscratch.backend import Array
from dlscratch.checks.symptoms.finding import Finding, graded, skipped
from dlscratch.checks.symptoms.patient import Patient
from dlscratch.datasets import Part

LOPSIDED = 0.9  # the share of one class
FEW = 10  # rows of a class
OUTLIER = 10  # standard deviations
HELD_OUT = 20_000  # rows of validation and test that are looked up
KNOWN = 300_000  # training rows that they are looked up in
COMBINATIONS = 100  # for each row: with fewer, rows may well be equal by chance


def target_balance(patient: Patient) -> Finding:
    """How the training rows are spread over the classes, or how far out the numbers to learn lie."""
    part = patient.experiment.prepared.train
    targets = part.targets.take(part.rows, axis=0)
    if not patient.classes:
        return _far_out(targets)
    counts = np.bincount(targets, minlength=len(patient.classes))
    most, rarest = int(counts.argmax()), int(counts.argmin())
    share = float(counts[most] / counts.sum())
    what = f'"{patient.classes[most]}" is {share:.1%} of the training rows, so that is what always saying it would give'
    what += f'; the rarest class, "{patient.classes[rarest]}", has {counts[rarest]:,} rows'
    advice = "look at macro_f1 and the confusion matrix rather than accuracy; give rare classes a loss weight"
    if counts[rarest] == 0:
        return Finding("target balance", "bad", share, what, "add rows of that class, or take it out of the data")
    uneven = share >= LOPSIDED or counts[rarest] < FEW
    return Finding("target balance", "warning" if uneven else "ok", share, what, advice if uneven else "")


def _far_out(targets: Array) -> Finding:
    values = targets.astype(np.float64)
    std = values.std(axis=0)
    if not std.all():
        return Finding("target balance", "bad", 0.0, "the target is the same in every training row", "check the column")
    far = float(np.abs((values - values.mean(axis=0)) / std).max())
    what = f"the target lies up to {far:.1f} standard deviations from its mean"
    advice = "a few rows will rule an mse loss: check them, learn the logarithm, or use loss: huber"
    return Finding("target balance", graded(far, OUTLIER, np.inf), far, what, advice if far >= OUTLIER else "")


def shared_rows(patient: Patient) -> Finding:
    """Rows of validation or test that stand among the training rows, too."""
    prepared = patient.experiment.prepared
    parts = {"test": prepared.test, "validation": prepared.validation}
    held_out = {name: part for name, part in parts.items() if part is not None}
    if not held_out:
        return skipped("shared rows", "no rows are held out")
    known = set(_hashes(prepared.train, KNOWN))
    shares = {name: _share(_hashes(part, HELD_OUT), known) for name, part in held_out.items()}
    worst = max(shares.values())
    what = " and ".join(f"{share:.1%} of the {name} rows" for name, share in shares.items())
    what += " stand among the training rows, with the same target"
    if not worst:
        return Finding("shared rows", "ok", worst, f"none of the {' and '.join(shares)} rows stands in training, too")
    if _combinations(patient) < COMBINATIONS * len(prepared.train):
        what += "; the columns can hardly hold other values, so that this may well be chance"
        return Finding("shared rows", "warning", worst, what, "expect a little less of new rows than the test says")
    advice = "the result would be partly remembered: remove duplicates, or split by what the rows come from"
    return Finding("shared rows", graded(worst, 1e-9, 0.01), worst, what, advice)


def _hashes(part: Part, most: int) -> Iterable[int]:
    """A number for each row, the same for the same inputs and target."""
    for row in part.rows[:most]:
        yield hash((part.inputs[row].tobytes(), part.targets[row].tobytes()))


def _share(rows: Iterable[int], known: set[int]) -> float:
    hits = [row in known for row in rows]
    return sum(hits) / len(hits)


def _combinations(patient: Patient) -> float:
    """How many different rows could be made of the values that the columns have."""
    with np.errstate(over="ignore"):
        return float(np.prod([float(len(np.unique(column.values))) for column in patient.columns]))
