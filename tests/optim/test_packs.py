"""Small parameters that lie side by side in an optimizer's memory, and those that somebody moved from there."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from dlscratch.autograd import Tensor
from dlscratch.errors import GradientError
from dlscratch.optim import Adam


def parameters():
    rng = np.random.default_rng(0)
    values = rng.random((3, 4)), np.asfortranarray(rng.random((5, 2))), rng.random(3)
    return {name: Tensor(x, requires_grad=True) for name, x in zip("abc", values, strict=True)}


def updated(tensors, optimizer, steps, start=0):
    for step in range(start, start + steps):
        rng = np.random.default_rng(step)
        for x in tensors.values():
            x.grad = rng.random(x.shape)
        optimizer.step()
    return [x.numpy() for x in tensors.values()]


def one_by_one(steps):
    """What each parameter becomes with an optimizer of its own."""
    alone = parameters()
    own = [Adam({name: x}) for name, x in alone.items()]
    for step in range(steps):
        rng = np.random.default_rng(step)
        for x, optimizer in zip(alone.values(), own, strict=True):
            x.grad = rng.random(x.shape)
            optimizer.step()
    return [x.numpy() for x in alone.values()]


def same(found, expected):
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)


def test_they_keep_their_values_their_order_in_memory_and_are_views_of_one_array():
    tensors, values = parameters(), [x.numpy() for x in parameters().values()]
    Adam(tensors)
    same([x.numpy() for x in tensors.values()], values)
    assert [x._array.flags.f_contiguous for x in tensors.values()] == [False, True, True]
    assert len({id(x._array.base) for x in tensors.values()}) == 1


def test_side_by_side_gives_what_each_gives_alone():
    tensors = parameters()
    same(updated(tensors, Adam(tensors), 5), one_by_one(5))


@pytest.mark.parametrize("replace", [np.array, np.asfortranarray])
def test_a_value_that_was_replaced_is_updated_where_it_is(replace):
    tensors = parameters()
    optimizer = Adam(tensors)
    updated(tensors, optimizer, 2)
    tensors["a"].data = replace(tensors["a"].data)
    place = tensors["a"]._array
    same(updated(tensors, optimizer, 3, start=2), one_by_one(5))
    assert tensors["a"]._array is place
    other = parameters()
    unmoved = Adam(other)
    updated(other, unmoved, 5)
    same(optimizer.state_dict().values(), unmoved.state_dict().values())


def test_two_optimizers_and_a_copy_each_go_on_from_the_values_that_are_there():
    tensors = parameters()
    first = Adam(tensors)
    updated(tensors, first, 2)
    Adam(tensors)  # moves the values again
    twin, its = copy.deepcopy((tensors, first))
    same(updated(tensors, first, 3, start=2), one_by_one(5))
    same(updated(twin, its, 3, start=2), one_by_one(5))


def test_without_a_gradient_the_others_move_where_they_are():
    tensors = parameters()
    optimizer = Adam(tensors)
    before = tensors["b"].numpy()
    tensors["a"].grad, tensors["c"].grad = np.ones((3, 4)), np.ones(3)
    optimizer.step()
    np.testing.assert_array_equal(tensors["b"].data, before)
    assert len({id(x._array.base) for x in tensors.values()}) == 1
    np.testing.assert_allclose(tensors["a"].data, parameters()["a"].data - 1e-3, rtol=1e-5)


@pytest.mark.parametrize("others", [True, False])
def test_states_keep_their_order_where_a_large_value_or_one_updated_alone_is_replaced_by_one_in_another(others):
    found = []
    for replace in (np.array, np.asfortranarray):
        rng = np.random.default_rng(0)
        w, b = (Tensor(rng.random(shape), requires_grad=True) for shape in ((3, 4) if others else (200, 100), 3))
        optimizer = Adam([w, b] if others else [w])
        for _ in range(4):
            w.grad = rng.random(w.shape)
            optimizer.step()
            w.data = replace(w.data)
        found.append([w.numpy(), *optimizer.state_dict().values()])
    same(*found)


def test_a_graph_from_before_an_update_of_a_pack_is_refused():
    tensors = parameters()
    optimizer, y = Adam(tensors), (tensors["a"] * tensors["a"]).sum()
    updated(tensors, optimizer, 1)
    with pytest.raises(GradientError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize("shape", [(), (4,)])
def test_a_gradient_of_another_size_is_refused(shape):
    tensors = parameters()
    optimizer = Adam(tensors)
    for x in tensors.values():
        x.grad = np.ones(x.shape)
    tensors["a"].grad = np.ones(shape)
    with pytest.raises(ValueError, match="shape"):
        optimizer.step()
