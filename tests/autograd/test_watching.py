"""backward() with someone watching gives what backward() gives, and what is told adds up to it."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch.autograd import Tensor, ops
from dlscratch.autograd.watching import nodes_of, origin, watched_backward, watched_ops
from dlscratch.errors import GradientError


def reused() -> tuple[Tensor, Tensor, Tensor]:
    """A result with a broadcast, a tensor that is used twice and a node that is used twice."""
    rng = np.random.default_rng(0)
    x, b = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((3, 4), (4,)))
    y = ops.tanh(x * b + b)
    return x, b, ops.sum(y * y + ops.exp(y))


def test_the_gradients_are_those_of_backward() -> None:
    x, b, result = reused()
    result.backward()
    plain = [np.array(leaf.grad) for leaf in (x, b)]
    x, b, result = reused()
    watched_backward(result)
    for leaf, expected in zip((x, b), plain, strict=True):
        np.testing.assert_array_equal(leaf.grad, expected)


def test_the_parts_add_up_to_the_gradients() -> None:
    x, b, result = reused()
    flows = watched_backward(result)
    for leaf in (x, b):
        parts = [flow.part for flow in flows if flow.source is leaf]
        np.testing.assert_array_equal(leaf.grad, sum(parts[1:], parts[0]))
    for flow in flows:
        received = [other.part for other in flows if other.source is flow.node]
        if received:
            np.testing.assert_array_equal(flow.incoming, sum(received[1:], received[0]))
    assert [len([flow for flow in flows if flow.source is leaf]) for leaf in (x, b)] == [1, 2]


def test_the_rules_are_back_in_place_afterwards() -> None:
    _, b, result = reused()
    before = {node.number: list(node.rules) for node in nodes_of(result)}
    watched_backward(result)
    assert {node.number: node.rules for node in nodes_of(result)} == before
    b._mutate()[...] = 0
    with pytest.raises(GradientError, match="changed in place"):
        watched_backward(result)
    assert {node.number: node.rules for node in nodes_of(result)} == before


def test_whatever_computes_meanwhile_is_told_of() -> None:
    x, b, result = reused()
    result.backward()
    plain, names = [np.array(leaf.grad) for leaf in (x, b)], sorted(node.name for node in nodes_of(result))
    made, flows = [], []
    with watched_ops(lambda node, value, operands: made.append((node, value, operands)), flows.append):
        x, b, result = reused()
        result.backward()
    for leaf, expected in zip((x, b), plain, strict=True):
        np.testing.assert_array_equal(leaf.grad, expected)
        parts = [flow.part for flow in flows if flow.source is leaf]
        np.testing.assert_array_equal(expected, sum(parts[1:], parts[0]))
    assert sorted(node.name for node, _, _ in made) == names
    node, value, operands = made[0]
    assert (node.name, operands) == ("Mul", (x, b))
    np.testing.assert_array_equal(value, x.data * b.data)
    assert made[-1][1] == result.data
    x + b
    assert len(made) == len(names)


def test_the_origin_of_a_leaf_is_itself() -> None:
    x = Tensor([1.0], requires_grad=True)
    assert origin(x) is x
    assert [node.name for node in nodes_of(-x)] == ["Neg"]
    assert list(nodes_of(x)) == []
