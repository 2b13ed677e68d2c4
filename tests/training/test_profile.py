"""Where the time goes: known times are found again, together they are all of it, and what is trained stays the same."""

from __future__ import annotations

import threading
import time
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
from dlscratch.training import Epoch, fit, loop, timed_as
from dlscratch.training.profile import CAPTION, COLUMNS, Profile, _timed_side_by_side

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype(np.float32)
Y = np.arange(40) % 3
STEPS = 10  # of an epoch of four examples each


def rest(name, seconds):
    """Sleep, which on a busy machine takes longer than it should, and note how long."""
    start = time.perf_counter()
    time.sleep(seconds)
    SPENT[name] += time.perf_counter() - start


SPENT = Counter()


@pytest.fixture(autouse=True)
def _nothing_spent():
    SPENT.clear()


def as_noted(found, name):
    """Whether a time that was found is the one that was noted, with little besides."""
    return 0 < SPENT[name] <= found < 1.5 * SPENT[name] + 0.02


@op()
def nap(x):
    """The same, after a while."""
    rest("forward", 0.004)

    def dx(g):
        rest("backward", 0.007)
        return g * 1

    return x * 1, dx


del OPS["nap"]  # other tests try all ops there are


class Sleeper(Layer):
    """A layer that takes a known time."""

    def forward(self, x, training, rng):
        return nap(x)


def trained(model, profile=None, x=X, y=Y, size=4, epochs=1, **options):
    """The losses and the arrays of a training."""
    optimizer = SGD(model.named_parameters(), lr=0.05, momentum=0.9)
    batches = datasets.Batches(x, y, size, shuffle=True)
    records = fit(model, CrossEntropyLoss(), optimizer, batches, epochs=epochs, **options)
    losses = [record.loss for record in records if not isinstance(record, Epoch)]
    return losses, {name: array.tobytes() for name, array in model.state_dict().items()}


def test_known_times_are_found_and_all_of_it_is_told_of():
    model = Sequential(Linear(4, 4), Residual(Sleeper(), ReLU()), Linear(4, 3), input_shape=4)
    start = time.perf_counter()
    with Profile() as profile:
        trained(model)
        with timed_as("pause"):
            time.sleep(0.03)
        time.sleep(0.05)
    wall = time.perf_counter() - start
    rows = {row.name: row for row in profile.rows()}
    sleeper, residual = rows["1.0"], rows["1"]
    assert as_noted(sleeper.forward_seconds, "forward")
    assert as_noted(sleeper.backward_seconds, "backward")
    assert sleeper.seconds < residual.inside_seconds < rows[""].inside_seconds
    assert residual.inside_seconds == pytest.approx(sleeper.seconds + rows["1.1"].seconds)
    assert max(rows[name].seconds for name in ("", "0", "1", "1.1", "2", "loss", "graph")) < sleeper.seconds / 2
    assert rows["pause"].forward_seconds >= 0.03
    assert rows["other"].forward_seconds >= 0.05
    assert sum(row.seconds for row in rows.values()) == pytest.approx(profile.seconds) == pytest.approx(wall, rel=0.1)
    assert sum(row.share for row in rows.values()) == pytest.approx(1)


def test_each_part_of_a_run_has_its_row():
    class Slow(SGD):
        def step(self):
            rest("optimizer", 0.01)
            super().step()

    class Waiting(datasets.Batches):
        def epoch(self, number, start=0):
            for batch in super().epoch(number, start):
                rest("validation" if self.batch_size == 1 else "batches", 0.005)
                yield batch

    def slow_loss(output, target):
        rest("loss" if output.requires_grad else "validation", 0.003)
        return CrossEntropyLoss()(output, target)

    model = Sequential(Linear(4, 3), input_shape=4)
    validation = Waiting(X[:12], Y[:12], 1)
    with Profile() as profile:
        optimizer, batches = Slow(model.parameters(), lr=0.1), Waiting(X, Y, 4)
        for _ in fit(model, slow_loss, optimizer, batches, epochs=1, validation=validation, metrics=["accuracy"]):
            with timed_as("saving"):
                rest("saving", 0.002)
    seconds = {row.name: row.forward_seconds for row in profile.rows()}
    assert [name for name in SPENT if not as_noted(seconds[name], name)] == []
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


def test_times_of_threads_that_compute_side_by_side_are_scaled_to_the_clock():
    meeting = threading.Barrier(2, timeout=30)  # passes only if both jobs are at work at once

    def job(row, seconds):
        with timed_as(row):
            meeting.wait()
            rest(row, seconds)

    with limit_threads(2), Profile() as profile:
        start = time.perf_counter()
        _timed_side_by_side([lambda: job("short", 0.02), lambda: job("long", 0.06)])
        wall = time.perf_counter() - start
    seconds = {row.name: row.seconds for row in profile.rows()}
    assert sum(seconds.values()) == pytest.approx(profile.seconds)
    assert profile.seconds < 1.1 * wall
    assert seconds["long"] / seconds["short"] == pytest.approx(SPENT["long"] / SPENT["short"], rel=0.6)


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


def test_a_second_model_counts_as_other():
    first, second = Sequential(Linear(4, 3), input_shape=4), Sequential(Sleeper(), Linear(4, 3), input_shape=4)
    with Profile() as profile:
        trained(first)
        before = {row.name: row.seconds for row in profile.rows()}
        trained(second)
        trained(first)
    rows = {row.name: row.seconds for row in profile.rows()}
    assert rows["other"] >= before["other"] + SPENT["forward"]
    assert set(rows) == set(before)
    assert max(rows["0"], rows["optimizer"]) < SPENT["forward"]


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
