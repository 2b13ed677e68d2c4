"""Early stopping: directions, patience, and what counts as an improvement."""

from __future__ import annotations

import math

import pytest

from dlscratch.errors import UsageError
from dlscratch.training import EarlyStopping


def run(values, **options):
    """Which epochs were the best so far, and when it stopped."""
    watch = EarlyStopping(**options)
    best = []
    for epoch, value in enumerate(values, start=1):
        if watch.observe({"val_loss": value, "val_macro_f1": value, "loss": 0.0}, epoch):
            best.append(epoch)
        if watch.stopped:
            return best, epoch
    return best, None


def test_it_stops_after_patience_epochs_without_improvement():
    assert run([5.0, 4.0, 4.0, 3.0, 3.5, 3.5, 1.0], patience=2) == ([1, 2, 4], 6)


def test_without_patience_it_only_remembers():
    assert run([5.0, 6.0, 7.0, 4.0], patience=None) == ([1, 4], None)


def test_scores_are_better_when_higher_and_losses_when_lower():
    values = [1.0, 2.0, 0.5]
    assert run(values, patience=None, monitor="val_macro_f1")[0] == [1, 2]
    assert run(values, patience=None, monitor="val_loss")[0] == [1, 3]
    assert run(values, patience=None, monitor="val_loss", mode="max")[0] == [1, 2]


def test_small_improvements_are_none():
    assert run([1.0, 0.95, 0.89, 0.80], patience=None, min_delta=0.1)[0] == [1, 3]


def test_nan_is_never_the_best():
    assert run([math.nan, 2.0, math.nan, 1.0], patience=None)[0] == [2, 4]


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="patience is 0"):
        EarlyStopping(patience=0)
