"""Exact resume: a run that is saved anywhere and continued by fresh objects ends with the same bits."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from dlscratch.datasets.batches import Batches
from dlscratch.errors import CheckpointError
from dlscratch.nn import BatchNorm1d, CrossEntropyLoss, Dropout, Linear, ReLU, Sequential
from dlscratch.optim import OPTIMIZERS, SCHEDULES
from dlscratch.training import EarlyStopping, Epoch, TrainingState, fit

RNG = np.random.default_rng(1)
X = RNG.standard_normal((70, 5)).astype(np.float32)
Y = (X @ RNG.standard_normal((5, 3))).argmax(axis=1)
EPOCHS = 4
CASES = {
    "sgd": ({"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}, ("cosine", {"unit": "step"})),
    "adam": ({"lr": 0.01}, ("one_cycle", {"warmup": 3})),
    "adamw": ({"lr": 0.01}, ("step", {"step_size": 1, "gamma": 0.5, "warmup": 9})),
    "rmsprop": ({"momentum": 0.5, "centered": True}, ("exponential", {"gamma": 0.9})),
    "adagrad": ({"lr_decay": 0.01}, ("reduce_on_plateau", {"patience": 0, "threshold": 0.9, "factor": 0.5})),
}


class Trial:
    """A model and all that trains it, fresh."""

    def __init__(self, kind):
        options, (schedule, schedule_options) = CASES[kind]
        self.model = Sequential(
            Linear(out_features=16), BatchNorm1d(), ReLU(), Dropout(0.3), Linear(out_features=3), input_shape=5
        )
        self.optimizer = OPTIMIZERS[kind](self.model.named_parameters(), **options)
        self.state = TrainingState()
        self.rest = {
            "epochs": EPOCHS,
            "validation": Batches(X[::3], Y[::3], 16),
            "schedule": SCHEDULES[schedule](**schedule_options),
            "metrics": ["accuracy", "macro_f1"],
            "clip_norm": 1.0,
            "early_stopping": EarlyStopping(patience=3, min_delta=0.3),
            "restore_best": True,
            "seed": 3,
            "state": self.state,
        }

    def records(self):
        return fit(self.model, CrossEntropyLoss(), self.optimizer, Batches(X, Y, 16, shuffle=True, seed=3), **self.rest)

    def save(self):
        best = self.state.best_weights
        return self.model.state_dict(), self.optimizer.state_dict(), json.dumps(self.state.state_dict()), best

    def load(self, saved):
        model, optimizer, state, best = saved
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.state.load_state_dict(json.loads(state))
        self.state.best_weights = best


def comparable(records):
    """Records without what the clock gives."""
    clock = {"seconds", "samples_per_second"}
    return [(type(r), {k: v for k, v in dataclasses.asdict(r).items() if k not in clock}) for r in records]


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("stop", [1, 2, 5, 6, 9, 13])
def test_saved_anywhere_and_continued_it_ends_with_the_same_bits(kind, stop):
    straight = Trial(kind)
    expected = list(straight.records())
    first = Trial(kind)
    records = first.records()
    before = [next(records) for _ in range(stop)]
    saved = first.save()
    second = Trial(kind)
    second.load(saved)
    after = list(second.records())
    assert comparable(before + after) == comparable(expected)
    assert sum(isinstance(r, Epoch) for r in expected) >= 3
    for one, other in ((straight.model, second.model), (straight.optimizer, second.optimizer)):
        for name, x in one.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[name], x, err_msg=name)


def test_what_is_saved_before_the_run_goes_on_is_what_was_loaded():
    trial = Trial("adam")
    records = trial.records()
    for _ in range(7):
        next(records)
    saved = trial.save()
    other = TrainingState()
    other.load_state_dict(json.loads(saved[2]))
    assert json.dumps(other.state_dict()) == saved[2]


def test_a_foreign_state_is_refused():
    with pytest.raises(CheckpointError, match="training state: expected epoch, batch"):
        TrainingState().load_state_dict({"epoch": 1})


def test_a_finished_run_goes_on_when_epochs_are_raised():
    trial = Trial("adamw")
    list(trial.records())
    done = trial.state.epoch
    trial.rest |= {"epochs": done + 2, "early_stopping": None}
    assert [r.epoch for r in trial.records() if isinstance(r, Epoch)] == [done + 1, done + 2]
