"""The training loop: what it yields, when it stops, and that it stops before a bad update."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.datasets.batches import Batches
from dlscratch.errors import DivergedError, UsageError
from dlscratch.nn import BatchNorm1d, CrossEntropyLoss, Linear, MSELoss, ReLU, Sequential
from dlscratch.optim import SGD, Adam, Cosine, ReduceOnPlateau, clip_grad_norm_
from dlscratch.training import EarlyStopping, Epoch, Step, TrainingState, evaluate, fit, loop

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4)).astype(np.float32)
Y = (X @ RNG.standard_normal((4, 3))).argmax(axis=1)
LOSS = CrossEntropyLoss()


def network(seed=0):
    return Sequential(Linear(out_features=8), ReLU(), Linear(out_features=3), input_shape=4, seed=seed)


def batches(size=16, shuffle=True):
    return Batches(X, Y, size, shuffle=shuffle)


def start(model=None, **options):
    """The arguments of fit, with a fresh model and optimizer."""
    model = model or network()
    return dict(model=model, loss=LOSS, optimizer=Adam(model.named_parameters(), lr=0.02), train=batches(), **options)


def epochs_of(records):
    return [record for record in records if isinstance(record, Epoch)]


def test_it_yields_a_record_for_each_step_and_epoch_and_learns():
    records = list(fit(**start(epochs=30, validation=batches(shuffle=False), metrics=["accuracy", "macro_f1"])))
    assert [type(r) for r in records] == ([Step] * 4 + [Epoch]) * 30
    steps = [r for r in records if isinstance(r, Step)]
    assert [(s.epoch, s.batch, s.batches, s.step, s.samples) for s in steps[:5]] == [
        (1, 1, 4, 1, 16),
        (1, 2, 4, 2, 16),
        (1, 3, 4, 3, 16),
        (1, 4, 4, 4, 2),
        (2, 1, 4, 5, 16),
    ]
    last = records[-1]
    assert set(last.values) == {"loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1"}
    assert last.values["val_accuracy"] > 0.9 > epochs_of(records)[0].values["val_accuracy"]
    assert (last.epoch, last.step, last.complete, last.stopped) == (30, 120, True, False)
    assert last.seconds > 0
    assert last.samples_per_second > 50


def test_training_values_are_means_weighted_by_samples():
    args = start(epochs=1, metrics=["accuracy"])
    args["epochs"] = 2
    records = list(fit(**args))
    for epoch, steps in ((records[4], records[:4]), (records[9], records[5:9])):
        assert epoch.values["loss"] == pytest.approx(sum(s.loss * s.samples for s in steps) / 50)
    frozen = start(epochs=1, metrics=["accuracy"])
    frozen["optimizer"].lr = 0.0
    *_, epoch = fit(**frozen)
    whole = evaluate(frozen["model"], LOSS, [(X, Y)], ["accuracy"])
    assert epoch.values["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    assert epoch.values["accuracy"] == whole["accuracy"]


def test_a_step_is_the_one_written_by_hand():
    model, twin = network(), network()
    optimizer = SGD(twin.named_parameters(), lr=0.3)
    norms = []
    for x, y in batches().epoch(0):
        twin.zero_grad()
        LOSS(twin(Tensor(x), training=True), y).backward()
        norms.append(clip_grad_norm_(twin.parameters(), 0.5))
        optimizer.step()
    args = {**start(model, epochs=1, clip_norm=0.5), "optimizer": SGD(model.named_parameters(), lr=0.3)}
    *steps, _ = fit(**args)
    assert [s.gradient_norm for s in steps] == norms
    for name, p in model.named_parameters().items():
        np.testing.assert_array_equal(p.data, twin.named_parameters()[name].data)


def test_values_are_clipped_before_the_norm():
    args = start(epochs=1, clip_value=1e-3, clip_norm=1e-3)
    args["optimizer"] = SGD(args["model"].named_parameters(), lr=1.0)
    before = args["model"].state_dict()
    next(iter(fit(**args)))
    moves = [(after - before[name]).ravel() for name, after in args["model"].state_dict().items()]
    assert np.linalg.norm(np.concatenate(moves)) == pytest.approx(1e-3, rel=1e-3)
    assert np.abs(np.concatenate(moves)).max() < 5e-4


def test_the_schedule_sets_the_rate_of_each_update():
    args = start(epochs=2, schedule=Cosine(unit="step", warmup=2, start_factor=0.5))
    twin = Cosine(unit="step", warmup=2, start_factor=0.5)
    twin.prepare(0.02, 2, 4)
    records = list(fit(**args))
    assert [s.lr for s in records if isinstance(s, Step)] == [twin.lr(step // 4, step) for step in range(8)]
    assert records[-1].lr == twin.lr(1, 7)


def test_the_rate_falls_on_a_plateau():
    args = start(epochs=6, schedule=ReduceOnPlateau(patience=0, threshold=1e9, threshold_mode="abs", factor=0.5))
    assert [e.lr for e in epochs_of(fit(**args))] == [0.02 * 0.5 ** max(0, n - 1) for n in range(6)]


def test_without_a_schedule_the_rate_is_the_callers():
    args = start(epochs=2)
    for record in (records := fit(**args)):
        if isinstance(record, Epoch):
            args["optimizer"].lr = 0.5
            break
    assert next(records).lr == 0.5


def test_early_stopping_ends_the_run_and_the_best_weights_come_back():
    args = start(epochs=50, validation=batches(shuffle=False), restore_best=True, metrics=["accuracy"])
    watch = EarlyStopping(patience=2, monitor="val_accuracy", min_delta=0.02)
    best = {}
    for record in fit(**args, early_stopping=watch):
        if isinstance(record, Epoch) and record.best:
            best = args["model"].state_dict()
            expected = record.values["val_accuracy"]
    assert record.stopped
    assert record.epoch == watch.best_epoch + 2 < 50
    assert all(np.array_equal(best[name], x) for name, x in args["model"].state_dict().items())
    assert evaluate(args["model"], LOSS, [(X, Y)], ["accuracy"])["accuracy"] == expected == watch.best


def test_a_time_limit_ends_the_run_inside_an_epoch_and_can_be_raised(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    args = start(epochs=3, time_limit=5.5, validation=batches(shuffle=False))
    args["state"] = TrainingState()
    records = list(fit(**args))
    assert [type(r) for r in records] == [*[Step] * 4, Epoch, Step, Epoch]
    assert [(e.complete, e.epoch, e.step) for e in epochs_of(records)] == [(True, 1, 4), (False, 2, 5)]
    assert (args["state"].epoch, args["state"].batch) == (1, 1)
    assert list(fit(**args)) == []
    assert len(epochs_of(fit(**{**args, "time_limit": None}))) == 2


def test_an_epoch_cut_short_leaves_no_trace_but_its_weights_stay_if_they_are_the_best(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    watch = EarlyStopping(patience=5)
    args = start(epochs=3, time_limit=5.5, restore_best=True, validation=batches(shuffle=False), early_stopping=watch)
    args["state"] = TrainingState()
    seen = []
    for record in fit(**args):
        last, after = record, args["model"].state_dict()
        seen.append(watch.state_dict())
    assert last.best
    assert not last.complete
    assert seen[-3] == seen[-2] == seen[-1] != seen[0]
    for name, array in args["model"].state_dict().items():
        np.testing.assert_array_equal(array, after[name])
    assert not np.array_equal(args["state"].best_weights["0.weight"], after["0.weight"])


@pytest.mark.parametrize(
    ("place", "what"), [("x", "loss nan, with lr"), ("slope", "in the gradient of 0.weight, 0.bias, 1.weight and 3")]
)
def test_nan_stops_before_the_update_and_restores_the_buffers(place, what):
    model = Sequential(Linear(out_features=2), BatchNorm1d(), Linear(out_features=1), input_shape=4)
    x = X.copy()
    target = np.zeros((50, 1), np.float32)
    if place == "x":
        x[40, 2] = np.nan
        loss = MSELoss()
    else:
        loss = _loss_with_infinite_slope
    optimizer = SGD(model.named_parameters(), lr=0.25)
    records = fit(model, loss, optimizer, Batches(x, target, 16), epochs=2)
    assert [next(records).step, next(records).step] == [1, 2]
    saved = model.state_dict(), optimizer.state_dict()
    with pytest.raises(DivergedError, match=what) as error:
        next(records)
    assert "epoch 1, batch 3 of 4 (step 3)" in str(error.value)
    assert "lr 0.25" in str(error.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, saved[0][name])
    assert optimizer.state_dict()["step"].tolist() == saved[1]["step"].tolist()


def _loss_with_infinite_slope(output, target, _calls=[]):  # noqa: B006
    """√x at 0, in the third call: finite itself, with an infinite gradient."""
    _calls.append(None)
    mean = (output * output).mean()
    return mean if len(_calls) < 3 else ((output * 0) ** 2).sum().sqrt() + mean


def test_the_consumers_warnings_and_gradients_are_untouched_at_a_record():
    for record in fit(**start(epochs=1)):
        assert np.geterr()["over"] == "warn"
        x = Tensor([2.0], requires_grad=True)
        (x * x).sum().backward()
        assert x.grad is not None
        assert record.epoch == 1


def test_wrong_arguments_are_refused_at_once():
    with pytest.raises(UsageError, match="at least one epoch"):
        fit(**start(epochs=0))
    with pytest.raises(UsageError, match=r'no .val_loss.; did you mean "loss"\?'):
        list(fit(**start(epochs=1, early_stopping=EarlyStopping(patience=1, monitor="val_loss"))))
