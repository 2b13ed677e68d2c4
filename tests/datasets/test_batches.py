"""Batches: every example once an epoch, in the epoch's own order, fresh float32 arrays, no copy of the set."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.datasets import Batches
from dlscratch.errors import ShapeError, UsageError


@given(rows=st.integers(1, 50), size=st.integers(1, 60), epoch=st.integers(0, 5), shuffle=st.booleans())
def test_an_epoch_is_every_example_once(rows, size, epoch, shuffle):
    inputs = np.arange(rows * 2, dtype=np.uint8).reshape(rows, 2)
    batches = Batches(inputs, np.arange(rows), size, shuffle=shuffle)
    found = list(batches.epoch(epoch))
    targets = np.concatenate([y for _, y in found])
    assert len(found) == len(batches)
    assert [len(x) for x, _ in found[:-1]] == [size] * (len(found) - 1)
    assert sorted(targets) == list(range(rows))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), inputs[targets])
    assert all(x.dtype == np.float32 for x, _ in found)


def test_epochs_differ_and_come_again():
    batches = Batches(np.zeros((100, 1)), np.arange(100), 10, shuffle=True, seed=7)
    assert batches.order(0).tolist() != batches.order(1).tolist()
    assert batches.order(1).tolist() == batches.order(1).tolist()
    again = Batches(np.zeros((100, 1)), np.arange(100), 10, shuffle=True, seed=8)
    assert batches.order(0).tolist() != again.order(0).tolist()


def test_going_on_in_the_middle_of_an_epoch():
    batches = Batches(np.zeros((25, 1)), np.arange(25), 4, shuffle=True)
    whole = [y.tolist() for _, y in batches.epoch(2)]
    assert [y.tolist() for _, y in batches.epoch(2, start=3)] == whole[3:]
    assert list(batches.epoch(2, start=7)) == []


def test_some_rows_only():
    batches = Batches(np.arange(10.0)[:, None], np.arange(10), 2, rows=np.array([7, 1, 3]))
    assert [y.tolist() for _, y in batches] == [[7, 1], [3]]
    assert (len(batches), batches.examples) == (2, 3)


def test_a_batch_belongs_to_who_took_it():
    inputs, targets = np.zeros((4, 2), np.float32), np.zeros(4, np.float32)
    for x, y in Batches(inputs, targets, 4):
        x += 1
        y += 1
    assert not inputs.any()
    assert not targets.any()


def test_the_set_is_not_copied():
    images = np.zeros((20_000, 784), np.uint8)
    batches = Batches(images, np.zeros(20_000), 100, shuffle=True)
    tracemalloc.start()
    try:
        assert sum(len(x) for x, _ in batches.epoch(0)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < images.nbytes / 10
    finally:
        tracemalloc.stop()


def test_what_does_not_fit():
    with pytest.raises(ShapeError, match="3 inputs, but 2 targets; expected one target for each input"):
        Batches(np.zeros((3, 1)), np.zeros(2), 1)
    with pytest.raises(UsageError, match="batch_size is 0; expected 1 or more"):
        Batches(np.zeros((3, 1)), np.zeros(3), 0)
    with pytest.raises(UsageError, match=r"shuffled batches have another order each epoch"):
        list(Batches(np.zeros((3, 1)), np.zeros(3), 1, shuffle=True))
