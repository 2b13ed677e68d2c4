"""The engine: accumulation, freeing, changes in place, threads, printing."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from dlscratch.autograd import Tensor, composed, gradcheck, no_grad, ops
from dlscratch.errors import GradientError, ShapeError
from dlscratch.nn import functional as F


def leaf(values, **options):
    return Tensor(values, requires_grad=True, **options)


# The example that everyone knows.


def test_the_example_of_the_article():
    x, y, z = leaf(-2.0, name="x"), leaf(5.0, name="y"), leaf(-4.0, name="z")
    f = (x + y) * z
    assert f.item() == -12
    f.backward()
    assert (x.grad, y.grad, z.grad) == (-4, -4, 3)
    number = f._node.number
    assert f.graph().splitlines() == [
        f"<Mul> #{number} ()",
        f"├── <Add> #{number - 1} ()",
        "│   ├── <Tensor> x ()",
        "│   └── <Tensor> y ()",
        "└── <Tensor> z ()",
    ]
    assert repr(f) == "Tensor(-12., <Mul>)"


def test_the_example_without_a_gradient_for_x():
    x, y, z = Tensor(-2.0, name="x"), leaf(5.0, name="y"), leaf(-4.0, name="z")
    f = (x + y) * z
    f.backward()
    assert x.grad is None
    assert (f.item(), y.grad, z.grad) == (-12, -4, 3)
    assert "<Tensor> x () without gradient" in f.graph()


def test_what_is_used_twice_accumulates():
    a = leaf(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert (c.item(), a.grad) == (4, 4)
    c.backward()
    assert a.grad == 8
    a.zero_grad()
    assert a.grad is None
    c.backward(2.0)
    assert a.grad == 8


def test_a_graph_in_which_many_paths_meet():
    x = leaf(np.array(1.1))
    y = x
    for _ in range(60):  # 2⁶⁰ paths
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad == 1


def test_a_chain_of_a_hundred_thousand_adds():
    x = leaf(0.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert (y.item(), x.grad) == (100_000, 1)
    assert y.graph().endswith("more branches")
    del y  # 100,000 nodes go without recursion, too


# Memory.


@pytest.fixture
def without_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_gc")
def test_a_graph_is_freed_without_the_collector():
    w, x = leaf(np.ones((4, 3))), np.ones((5, 3))
    hidden = F.linear(x, w)
    y = F.softmax(F.sigmoid(F.batch_norm(F.gelu(hidden).tanh().exp())))
    loss = F.cross_entropy(y[:, :2] * y[:, 2:], np.zeros(5, int)) + (y**2).mean()
    loss.backward()
    held = [weakref.ref(t) for t in (hidden, y, loss)]
    arrays = [weakref.ref(t._array) for t in (hidden, y)]
    assert all(r() is not None for r in held + arrays)
    del hidden, y, loss
    assert all(r() is None for r in held + arrays)


@pytest.mark.usefixtures("without_gc")
def test_a_tensor_that_nobody_needs_goes_while_the_graph_stays():
    x = leaf(np.ones(1000))
    y = x + 1.0
    array = weakref.ref(y._array)
    z = y + 1.0  # an addition needs neither operand
    del y
    assert array() is None
    z.sum().backward()
    assert (x.grad == 1).all()


def test_gradients_are_arrays_of_their_own():
    a, b = leaf(np.ones(3)), leaf(np.ones(3))
    (a + b).backward(g := np.ones(3))
    a.grad[0] = 9
    assert b.grad.tolist() == g.tolist() == [1, 1, 1]
    x = leaf(np.ones((2, 3)))
    x.sum().backward()
    x.grad[0, 0] = 5  # not a broadcast view
    assert x.grad.tolist() == [[5, 1, 1], [1, 1, 1]]
    x.zero_grad()
    x.T.reshape(-1).backward(g := np.ones(6))
    x.grad += 1
    assert (g == 1).all()


# Changes in place: an error, never a wrong gradient.


def test_data_cannot_be_written_through():
    x = leaf([1.0, 2.0])
    for array in (x.data, x.data[:1], (x * 2).data, x.detach().data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        x.data += 1


def test_arrays_that_come_out_or_go_in_are_copies():
    source = np.ones(3)
    x = leaf(source)
    source[...] = 5
    x.numpy()[...] = 5
    np.asarray(x)[...] = 5
    assert x.data.tolist() == [1, 1, 1]
    factor = np.full(3, 2.0)
    y = x * factor
    factor[...] = 100
    y.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    index = np.array([0, 0])
    y = x[index]
    index[...] = 2
    x.zero_grad()
    y.sum().backward()
    assert x.grad.tolist() == [2, 0, 0]


USES = {
    "mul": lambda x: x * x,
    "exp of a view": lambda x: x.reshape(2, 2).T.exp(),
    "matmul": lambda x: x.reshape(2, 2) @ x.reshape(2, 2),
    "slice": lambda x: x[1:] * 2.0,
    "detached": lambda x: x.detach() * x,
    "linear": lambda x: F.linear(x.reshape(2, 2), x.reshape(2, 2)),
    "softmax": F.softmax,
    "max": lambda x: x.max(),
    "deep": lambda x: ((x * 2.0).exp() + x).sum(),
}


@pytest.mark.parametrize("use", USES)
def test_a_leaf_that_is_changed_under_its_graph_refuses_backward(use):
    x = leaf(np.arange(4.0))
    y = USES[use](x)
    x._mutate()[0] = 7
    with pytest.raises(GradientError, match="changed in place"):
        y.backward(np.ones(y.shape))
    assert x.grad is None
    fresh = USES[use](x)  # a graph that was recorded after the change is fine
    fresh.backward(np.ones(fresh.shape))
    assert x.grad is not None


def test_a_change_through_a_detached_view_is_seen():
    x = leaf(np.arange(4.0))
    view = x.detach()
    y = x * x
    view._mutate()[0] = 7
    with pytest.raises(GradientError, match="changed in place"):
        y.sum().backward()
    with no_grad():
        part = x[1:]
    y = x * x
    part._mutate()[0] = 7
    with pytest.raises(GradientError, match="changed in place"):
        y.sum().backward()


def test_data_can_be_replaced_without_hurting_a_graph():
    x = leaf(np.array([1.0, 2.0]))
    y = (x * x).sum()
    x.data = np.array([10.0, 20.0])
    y.backward()
    assert x.grad.tolist() == [2, 4]
    with pytest.raises(ShapeError, match=r"expected a leaf tensor and shape \(2,\), got \(3,\)"):
        x.data = np.ones(3)
    for change in (lambda: y._mutate(), lambda: setattr(y, "data", 1.0)):
        with pytest.raises((GradientError, ShapeError), match="leaf"):
            change()


# no_grad.


def test_no_grad_as_context_and_decorator_even_when_something_is_raised():
    x = leaf(1.0)

    @no_grad()
    def double():
        return x * 2.0

    assert not double().requires_grad
    assert not double().requires_grad  # a second time
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    with no_grad():
        with no_grad():
            pass
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad


def test_no_grad_is_the_threads_own():
    x, inside, results = leaf(1.0), threading.Event(), {}
    leave = threading.Event()

    def quiet():
        with no_grad():
            inside.set()
            leave.wait(5)
            results["quiet"] = (x * 2.0).requires_grad

    thread = threading.Thread(target=quiet)
    thread.start()
    inside.wait(5)
    results["other"] = (x * 2.0).requires_grad
    leave.set()
    thread.join()
    assert results == {"quiet": False, "other": True}


def test_threads_that_record_at_once_do_not_disturb_each_other():
    results = [None] * 8

    def work(i):
        x = leaf(np.full(3, float(i)))
        y = x
        for _ in range(200):
            y = y * 1.0 + x
        y.sum().backward()
        results[i] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[201] * 3] * 8


# Types, shapes, messages.


def test_dtypes():
    assert Tensor([1, 2]).dtype == Tensor(1).dtype == Tensor(2.5).dtype == np.float32
    assert Tensor(np.ones(2)).dtype == np.float64
    assert Tensor(np.ones(2, np.int32)).dtype == np.int32
    assert Tensor([True]).dtype == bool
    x = leaf([1.0])
    assert (x * 2).dtype == (2 - x).dtype == (x / 3.7).dtype == (x**2).dtype == np.float32
    mixed = x * np.ones(1)
    assert mixed.dtype == np.float64
    mixed.backward([1.0])
    assert x.grad.dtype == np.float32
    for wrong in (np.ones(2, int), np.array([True])):
        with pytest.raises(GradientError, match="expected floating-point numbers"):
            leaf(wrong)
    for wrong in (np.array(["a"]), np.array([1j]), np.array([None])):
        with pytest.raises(GradientError, match="expected numbers or booleans"):
            Tensor(wrong)


def test_integers_carry_no_gradient():
    x, n = leaf([1.0, 2.0]), Tensor(np.array([3, 4]))
    y = (x * n).sum()
    y.backward()
    assert n.grad is None
    assert x.grad.tolist() == [3, 4]
    assert not ops.argmax(x).requires_grad
    assert not (x > 1.5).requires_grad


def test_backward_says_why_it_cannot():
    with pytest.raises(GradientError, match="no input had requires_grad=True, or no_grad was on"):
        (Tensor(1.0) * 2.0).backward()
    with pytest.raises(ShapeError, match=r"expected shape \(3,\), got \(\); or sum\(\) first"):
        leaf([1.0, 2.0, 3.0]).exp().backward()
    with pytest.raises(ShapeError, match=r"expected shape \(3,\), got \(2,\)"):
        leaf([1.0, 2.0, 3.0]).exp().backward(np.ones(2))
    with pytest.raises(ShapeError, match=r"<Add> of shapes \(2,\), \(3,\)"):
        leaf([1.0, 2.0]) + leaf([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="one element"):
        leaf([1.0, 2.0]).item()


def test_a_leaf_can_be_the_whole_graph():
    x = leaf(3.0)
    x.backward()
    x.backward(2.0)
    assert x.grad == 3


def test_empty_and_scalar_tensors():
    x = leaf(np.ones((0, 3)))
    y = F.relu(F.linear(x, w := leaf(np.ones((2, 3)))))
    y.sum().backward()
    assert x.grad.shape == (0, 3)
    assert w.grad.tolist() == [[0] * 3] * 2
    assert composed.stack([leaf(1.0), leaf(2.0)]).shape == (2,)
    assert float(leaf(2.0)) == 2
    with pytest.raises(TypeError, match="without axes"):
        len(leaf(1.0))


def test_text_of_tensors_and_of_graphs_that_repeat():
    assert repr(leaf([1.0, 2.0], name="w")) == "Tensor([1., 2.], name='w', requires_grad=True)"
    assert repr(Tensor(np.ones(1))) == "Tensor([1.], dtype=float64)"
    a = leaf(1.0, name="a")
    b = a.exp()
    lines = (b * b).graph().splitlines()
    assert lines[1].startswith("├── <Exp> #")
    assert lines[-1].endswith("() (see above)")
    y = a
    for _ in range(300):
        y = y + 1.0
    assert y.graph().splitlines()[-1].startswith("… ")


# Random expressions against finite differences.

UNARY = [ops.tanh, ops.sin, F.sigmoid, F.softplus, F.gelu, F.silu, lambda x: x * x, lambda x: (x * x + 1.0).sqrt()]
BINARY = [ops.add, ops.sub, ops.mul, lambda x, y: x / (y * y + 1.0), lambda x, y: (x * 0.3).tanh() ** 2 * y]
SHAPING = [
    lambda x: x.reshape(-1),
    lambda x: x.T,
    lambda x: x.sum(0, keepdims=True) if x.ndim else x,
    lambda x: x.mean(-1) if x.ndim else x,
    lambda x: composed.stack([x, x * 2.0], axis=0),
    lambda x: x[::-1] if x.ndim else x,
    lambda x: x.unsqueeze(0),
    lambda x: x.logsumexp(-1, keepdims=True) if x.ndim else x,
]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_random_expressions_agree_with_finite_differences(data):
    shapes = data.draw(mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3)).input_shapes
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    program = data.draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(UNARY), st.integers(0, 9)),
                st.tuples(st.sampled_from(BINARY), st.integers(0, 9), st.integers(0, 9)),
                st.tuples(st.sampled_from(SHAPING), st.integers(0, 9)),
            ),
            min_size=1,
            max_size=8,
        )
    )

    def run(*leaves):
        values = list(leaves)
        for function, *where in program:
            operands = [values[i % len(values)] for i in where]
            try:
                values.append(function(*operands))
            except ShapeError:  # these two do not broadcast
                values.append(operands[0] + 0.0)
        return sum((v.sum() * (1.0 + i) for i, v in enumerate(values)), start=Tensor(np.array(0.0)))

    inputs = [leaf(rng.uniform(-1, 1, shape)) for shape in shapes]
    assert gradcheck(run, *inputs, tolerance=1e-5)


@given(array_shapes(max_dims=4, max_side=3), st.data())
def test_broadcasting_sums_over_what_was_stretched(shape, data):
    small = tuple(data.draw(st.sampled_from([1, n])) for n in shape)[data.draw(st.integers(0, len(shape))) :]
    x, y = leaf(np.zeros(small)), leaf(np.zeros(shape))
    (x + y).backward(np.ones(shape))
    assert x.grad.shape == small
    assert (x.grad == y.size / x.size).all()


def test_retaining_a_view_keeps_only_what_it_shows():
    x = leaf(np.arange(6.0))
    y = x.reshape(2, 3)
    z = y[0]
    x.zero_grad()
    z.backward(np.ones(3))
    assert x.grad.tolist() == [1, 1, 1, 0, 0, 0]
    assert y.grad is None
