"""Where the time goes: known times are found again, together they are all of it, and what is trained stays the same."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

from dlscratch import datasets
from dlscratch.autograd import OPS, Node, Tensor, engine, op, sharding
from dlscratch.backend import limit_threads
from dlscratch.crew import side_by_side
from dlscratch.errors import UsageError
from dlscratch.nn import CrossEntropyLoss, Flatten, Layer, Linear, ReLU, Residual, Sequential
from dlscratch.optim import SGD
from dlscratch.training import Epoch, fit, loop, stopwatch, timed_as
from dlscratch.training.profile import CAPTION, COLUMNS, Profile, _timed_side_by_side
from dlscratch.training.stopwatch import Place, Stopwatch

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype(np.float32)
Y = np.arange(40) % 3
LOSS = CrossEntropyLoss()
STEPS = 10  # of an epoch of four examples each


class Clock(threading.local):
    """A clock of each thread that stands still but for the rests, and notes what these are for."""

    def __init__(self):
        self.now, self.noted = 0.0, Counter()

    def perf_counter(self):
        return self.now

    def rest(self, name, seconds):
        self.now += seconds
        self.noted[name] += seconds


CLOCK = Clock()


@pytest.fixture
def _stopped(monkeypatch):
    """The stopwatches read the clock that stands still."""
    CLOCK.__init__()
    monkeypatch.setattr(stopwatch, "time", CLOCK)


stopped = pytest.mark.usefixtures("_stopped")


@op()
def nap(x):
    """The same, after a while."""
    CLOCK.rest("forward", 0.004)

    def dx(g):
        CLOCK.rest("backward", 0.007)
        return g * 1

    return x * 1, dx


del OPS["nap"]  # other tests try all ops there are


class Sleeper(Layer):
    """A layer that takes a known time."""

    def forward(self, x, training, rng):
        return nap(x)


def trained(model, loss=LOSS, x=X, y=Y, size=4, epochs=1):
    """The losses and the arrays of a training."""
    optimizer = SGD(model.named_parameters(), lr=0.05, momentum=0.9)
    batches = datasets.Batches(x, y, size, shuffle=True)
    records = fit(model, loss, optimizer, batches, epochs=epochs)
    losses = [record.loss for record in records if not isinstance(record, Epoch)]
    return losses, {name: array.tobytes() for name, array in model.state_dict().items()}


def taken(profile):
    """The seconds of the rows that took time."""
    return {row.name: row.seconds for row in profile.rows() if row.seconds}


@stopped
def test_known_times_are_found_and_all_of_it_is_told_of():
    model = Sequential(Linear(4, 4), Residual(Sleeper(), ReLU()), Sleeper(), Linear(4, 3), input_shape=4)
    with Profile() as profile:
        trained(model)
        with timed_as("pause"):
            CLOCK.rest("pause", 0.03)
        CLOCK.rest("other", 0.05)
    rows = {row.name: row for row in profile.rows()}
    sleeper = rows["1.0"]
    assert (sleeper.forward_seconds, sleeper.backward_seconds) == pytest.approx((STEPS * 0.004, STEPS * 0.007))
    assert taken(profile) == pytest.approx({"1.0": STEPS * 0.011, "2": STEPS * 0.011, "pause": 0.03, "other": 0.05})
    assert {name: row.inside_seconds for name, row in rows.items() if row.inside_seconds} == pytest.approx(
        {"": STEPS * 0.022, "1": STEPS * 0.011}
    )
    assert profile.seconds == pytest.approx(STEPS * 0.022 + 0.08) == CLOCK.now
    assert sleeper.share == pytest.approx(sleeper.seconds / CLOCK.now)
    assert sum(row.share for row in rows.values()) == pytest.approx(1)


@stopped
def test_each_part_of_a_run_has_its_row():
    class Slow(SGD):
        def step(self):
            CLOCK.rest("optimizer", 0.01)
            super().step()

    class Waiting(datasets.Batches):
        def epoch(self, number, start=0):
            for batch in super().epoch(number, start):
                CLOCK.rest("validation" if self.batch_size == 1 else "batches", 0.005)
                yield batch

    def slow_loss(output, target):
        CLOCK.rest("loss" if output.requires_grad else "validation", 0.003)
        return CrossEntropyLoss()(output, target)

    model = Sequential(Linear(4, 3), input_shape=4)
    validation = Waiting(X[:12], Y[:12], 1)
    with Profile() as profile:
        optimizer, batches = Slow(model.parameters(), lr=0.1), Waiting(X, Y, 4)
        for _ in fit(model, slow_loss, optimizer, batches, epochs=1, validation=validation, metrics=["accuracy"]):
            with timed_as("saving"):
                CLOCK.rest("saving", 0.002)
    seconds = {row.name: row.forward_seconds for row in profile.rows()}
    assert {name: spent for name, spent in seconds.items() if spent} == pytest.approx(dict(CLOCK.noted))
    assert len(CLOCK.noted) == 5
    assert {"0", "metrics", "gradients", "other"} < set(seconds)


def test_bytes_are_those_of_the_arrays_that_ops_and_rules_give():
    model = Sequential(Linear(4, 8), ReLU(), Linear(8, 3), Flatten(), input_shape=4)
    with Profile() as profile:
        trained(model)
    rows = {row.name: row for row in profile.rows()}
    numbers = {name: (row.forward_bytes / 4 / STEPS, row.backward_bytes / 4 / STEPS) for name, row in rows.items()}
    assert numbers["0"] == (4 * 8, 4 * 8 + 8)  # the batch needs no gradient
    assert numbers["1"] == (4 * 8, 4 * 8)
    assert numbers["2"] == (4 * 3, 8 * 3 + 3 + 4 * 8)
    assert numbers["3"] == numbers["optimizer"] == (0, 0)  # a view; and nothing new


IMAGES = RNG.standard_normal((96, 3, 32, 32)).astype(np.float32)
CONV = {"out_channels": 16, "kernel_size": 3, "padding": 1}
ARCHITECTURES = {
    "rows": (["flatten", {"linear": {"out_features": 16}}, "batch_norm1d", "relu", {"dropout": {"p": 0.3}}], X),
    "images in shards": ([{"conv2d": CONV}, "relu", {"residual": [{"conv2d": CONV}]}, "global_avg_pool2d"], IMAGES),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_trained_is_the_same_to_the_bit(name, threads):
    architecture, x = ARCHITECTURES[name]
    y, size = np.arange(len(x)) % 3, 96 if x.ndim > 2 else 7

    def network():
        return Sequential.from_architecture([*architecture, {"linear": {"out_features": 3}}], x.shape[1:])

    with limit_threads(threads):
        plain = trained(network(), x=x, y=y, size=size, epochs=2)
        with Profile() as profile:
            assert trained(network(), x=x, y=y, size=size, epochs=2) == plain
    rows = profile.rows()
    assert sum(row.seconds for row in rows) == pytest.approx(profile.seconds)
    if x.ndim > 2:
        assert {row.kind for row in rows if row.seconds > 0} >= {"sequential", "residual", "conv2d", "relu"}
        assert all(row.forward_seconds > 0 < row.backward_seconds for row in rows if row.kind == "conv2d")


@stopped
def test_times_of_threads_that_compute_side_by_side_are_scaled_to_the_clock():
    meeting = threading.Barrier(2, timeout=30)  # passes only if both jobs are at work at once

    def job(row, seconds):
        with timed_as(row):
            meeting.wait()
            CLOCK.rest(row, seconds)
        CLOCK.rest("other", seconds)

    with limit_threads(2), Profile() as profile:
        _timed_side_by_side([lambda: job("short", 0.02), lambda: job("long", 0.06)])
    here = CLOCK.now  # 0.04 or 0.12: that of the job which this thread did
    assert 0 < here < 0.13
    assert taken(profile) == pytest.approx({"short": here / 8, "long": here * 3 / 8, "other": here / 2})


@stopped
def test_a_stopwatch_shares_its_time_among_others():
    watch, others = Stopwatch(Place("mine")), [Stopwatch(Place("a")), Stopwatch(Place("b", backward=True))]
    CLOCK.rest("mine", 1.0)
    watch.turn(watch.place)
    others[0].seconds[Place("a")], others[1].seconds[others[1].place] = 3.0, 5.0
    others[0].bytes[Place("a")], watch.bytes[Place("a")] = 10, 1
    CLOCK.rest("side by side", 4.0)
    watch.share(others)
    CLOCK.rest("mine", 0.5)
    watch.turn(Place("mine"))
    assert watch.seconds == {Place("mine"): 1.5, Place("a"): 1.5, Place("b", backward=True): 2.5}
    assert watch.bytes == {Place("a"): 11}


def test_a_loop_of_ones_own():
    model = Sequential(Linear(4, 3), input_shape=4)
    with Profile(model) as profile:
        for _ in range(3):
            output = model(Tensor(X), training=True)
            with timed_as("loss"):
                loss = CrossEntropyLoss()(output, Y)
            loss.backward()
    rows = {row.name: row for row in profile.rows()}
    assert set(rows) == {"", "0", "loss", "graph", "other"}
    assert all(rows[name].forward_seconds > 0 < rows[name].backward_seconds for name in ("0", "loss"))


def test_afterwards_nobody_listens():
    model = Sequential(Linear(4, 3), input_shape=4)
    functions = [engine._backward_pass, loop.evaluate, loop._Run]
    with Profile() as profile:
        trained(model)
        assert engine.Node is not Node
        assert "forward" in vars(model[0])
    before = profile.document()
    assert [engine._backward_pass, loop.evaluate, loop._Run] == functions
    assert engine.Node is sharding.Node is Node
    assert sharding.side_by_side is side_by_side
    assert not any("forward" in vars(layer) for _, layer in model.named_layers())
    trained(model)
    with timed_as("loss"):
        pass
    assert profile.document() == before


def test_a_graph_made_inside_can_be_used_outside():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with Profile() as profile:
        y = (x * x).sum()
    before = profile.document()
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    assert profile.document() == before


def test_one_at_a_time():
    with Profile() as outer:
        with pytest.raises(UsageError, match="another one is at work here"), Profile():
            pass
        trained(Sequential(Linear(4, 3), input_shape=4))
    assert outer.seconds > 0
    with Profile():
        pass


@stopped
def test_a_second_model_counts_as_other():
    def slow_loss(output, target):
        CLOCK.rest("loss", 0.003)
        return LOSS(output, target)

    first, second = Sequential(Linear(4, 3), input_shape=4), Sequential(Sleeper(), Linear(4, 3), input_shape=4)
    with Profile() as profile:
        trained(first)
        CLOCK.rest("other", 0.01)
        before = {row.name for row in profile.rows()}
        trained(second, slow_loss)
        trained(first)
    assert taken(profile) == pytest.approx({"other": STEPS * 0.007 + 0.01})  # its first layer needs no gradient
    assert {row.name for row in profile.rows()} == before


def test_a_layer_in_two_places_is_told_of_at_the_first():
    same = ReLU()
    model = Sequential(Linear(4, 4), same, Linear(4, 3), same, input_shape=4)
    with Profile() as profile:
        trained(model)
    rows = {row.name: row for row in profile.rows()}
    assert rows["1"].seconds > 0 == rows["3"].seconds


def test_the_table_says_what_the_rows_say():
    model = Sequential(Linear(4, 4), Residual(Linear(4, 4)), Linear(4, 3), input_shape=4)
    with Profile() as profile:
        trained(model)
    titles, *lines, total = profile.table()
    assert titles == COLUMNS
    assert [line[:2] for line in lines[:5]] == [
        ("the model", "sequential"),
        ("0", "linear"),
        ("1", "residual"),
        ("1.0", "  linear"),
        ("2", "linear"),
    ]
    assert [line[0] for line in lines[5:]] == ["loss", "graph", "gradients", "optimizer", "metrics", "batches", "other"]
    assert total[0] == "total"
    assert total[-1] == "100.0%"
    assert f"{1e3 * profile.rows()[1].forward_seconds:,.1f}" == lines[1][2]
    assert str(profile).endswith(CAPTION)
    assert profile.document()["rows"][1]["kind"] == "linear"
    with Profile(Sequential(Linear(4, 3), input_shape=4)) as flat:
        pass
    assert "inside ms" not in flat.table()[0]
