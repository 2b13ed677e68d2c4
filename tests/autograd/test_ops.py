"""Every op in OPS, on every sample that stands beside it; and the check itself, which must catch a wrong rule."""

from __future__ import annotations

import numpy as np
import pytest

from dlscratch import nn  # noqa: F401  (its ops enter OPS)
from dlscratch.autograd import OPS, Tensor, gradcheck, no_grad, op, sample
from dlscratch.autograd.engine import Node, wrap
from dlscratch.errors import GradientError

CASES = [pytest.param(name, index, id=f"{name}-{index}") for name in OPS for index in range(len(OPS[name][1]))]
WITHOUT_GRADIENT = {"argmax"}


def case(name, index, seed=0):
    """The op with its options bound, and float64 operands."""
    function, samples = OPS[name]
    options = samples[index].options

    def call(*operands):
        return function(*operands, **options)

    call.__name__ = name
    return call, samples[index].tensors(np.random.default_rng(seed))


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_samples_and_says_what_it_computes(name):
    function, samples = OPS[name]
    assert samples, "no sample: the op is not checked"
    assert function.__doc__.strip().endswith("."), function.__doc__
    assert function.__name__ == name


@pytest.mark.parametrize(("name", "index"), CASES)
def test_gradients_agree_with_central_differences(name, index):
    for seed in range(2):
        call, operands = case(name, index, seed)
        if name in WITHOUT_GRADIENT:
            assert not call(*operands).requires_grad
        else:
            assert gradcheck(call, *operands, seed=seed)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_a_rule_that_is_wrong_by_a_twentieth_of_a_percent_is_caught(name, index):
    """Each rule of each op in turn, made too large by 0.05 %."""
    if name in WITHOUT_GRADIENT:
        return
    call, operands = case(name, index)
    node = call(*operands)._node
    for position, rule in enumerate(node.rules):
        if rule is None:
            continue

        def wrong(*operands, position=position):
            result = call(*operands)
            rules = list(result._node.rules)
            right = rules[position]
            rules[position] = lambda g: right(g) * 1.0005
            return wrap(np.array(result.data), operands, Node("Wrong", result.data, operands, rules))

        with pytest.raises(GradientError, match="finite differences give"):
            gradcheck(wrong, *operands)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_float32_stays_float32(name, index):
    call, operands = case(name, index)
    single = [Tensor(x, requires_grad=True, dtype="float32") if isinstance(x, Tensor) else x for x in operands]
    y = call(*single)
    if name in WITHOUT_GRADIENT:
        assert y.dtype == np.int64
        return
    assert y.dtype == np.float32
    y.backward(np.ones_like(y.data))
    assert all(x.grad.dtype == np.float32 for x in single if isinstance(x, Tensor))
    double = call(*operands)
    np.testing.assert_allclose(y.data, double.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_operands_and_gradients_are_never_written_to(name, index):
    call, operands = case(name, index)
    before = [np.array(x.data if isinstance(x, Tensor) else x) for x in operands]
    y = call(*operands)
    if y.requires_grad:
        g = np.random.default_rng(1).standard_normal(y.shape)
        held, results = g.copy(), []
        for _ in range(2):  # a rule may be asked twice, and must say the same
            results.append([rule(g) for rule in y._node.rules if rule is not None])
            results[-1] = [np.array(result) for result in results[-1]]
        np.testing.assert_array_equal(g, held)
        for first, second in zip(*results, strict=True):
            np.testing.assert_array_equal(first, second)
    for x, kept in zip(operands, before, strict=True):
        np.testing.assert_array_equal(x.data if isinstance(x, Tensor) else x, kept)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_nothing_is_recorded_without_need(name, index):
    call, operands = case(name, index)
    with no_grad():
        y = call(*operands)
    assert y._node is None
    assert not y.requires_grad
    plain = call(*(x.data if isinstance(x, Tensor) else x for x in operands))
    assert plain._node is None
    np.testing.assert_array_equal(plain.data, y.data)


def test_gradcheck_catches_a_missing_rule_a_wrong_sign_and_a_wrong_element():
    def tripled(rule):
        @op(sample((3,)))
        def tripled(x):
            """3 x."""
            return 3 * x, rule

        del OPS["tripled"]
        return tripled

    x = Tensor(np.arange(3.0), requires_grad=True)
    assert gradcheck(tripled(lambda g: 3 * g), x)
    for rule in (lambda g: 0 * g, lambda g: -3 * g, lambda g: 3 * g[::-1], lambda g: 3 * g + 1e-3):
        with pytest.raises(GradientError, match=r"gradcheck of tripled, input 0 of shape \(3,\)"):
            gradcheck(tripled(rule), x)


def test_gradcheck_wants_float64_inputs_that_want_a_gradient():
    for x in (Tensor([1.0], requires_grad=True), Tensor(np.ones(2)), np.ones(2)):
        with pytest.raises(GradientError, match="needs float64 inputs with requires_grad=True"):
            gradcheck(abs, x)
