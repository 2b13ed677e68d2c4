"""Ops for networks: tails, edges, errors; what golden numbers do not tell."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscratch.autograd import Tensor, gradcheck
from dlscratch.errors import ShapeError
from dlscratch.nn import functional as F
from dlscratch.nn.functional import convolution
from dlscratch.nn.functional.special import normal_cdf

X = np.linspace(-38, 38, 4001)


def test_the_normal_distribution_function_is_exact():
    expected = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in X])
    np.testing.assert_allclose(normal_cdf(X), expected, rtol=1e-15, atol=1e-15)
    tail = expected > 1e-290  # relative to Φ itself, as far as x² is known
    np.testing.assert_allclose(normal_cdf(X)[tail], expected[tail], rtol=1e-12)
    single = normal_cdf(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_tail_overflows_or_loses_its_digits(dtype):
    x = np.array([-1e4, -200, -80, -20, 0, 20, 200, 1e4], dtype)
    exact = np.array([math.exp(v) / (1 + math.exp(v)) if v < 0 else 1 / (1 + math.exp(-v)) for v in x.tolist()])
    np.testing.assert_allclose(F.sigmoid(x).data, exact, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(F.softplus(x).data[[0, 4, 7]], [0, math.log(2), 1e4], rtol=1e-6)
    for op in (F.silu, F.gelu, F.softmax, F.log_softmax):
        assert np.isfinite(op(x).data).all()
    loss = F.binary_cross_entropy_with_logits(x, (x > 0).astype(dtype), reduction="none")
    np.testing.assert_allclose(loss.data[[0, 4, 7]], [0, math.log(2), 0], atol=1e-6)
    assert F.cross_entropy(np.array([[1e4, -1e4]], dtype), np.array([1])).item() == 2e4


@given(st.lists(st.integers(0, 6), min_size=0, max_size=30), st.integers(1, 3))
def test_embedding_gradients_add_up(indices, size):
    weight = Tensor(np.zeros((7, size)), requires_grad=True)
    index = np.array(indices, dtype=np.int64)
    g = np.arange(index.size * size, dtype=float).reshape(index.size, size)
    F.embedding(weight, index).backward(g)
    expected = np.zeros((7, size))
    np.add.at(expected, index, g)
    np.testing.assert_array_equal(weight.grad, expected)


@pytest.mark.parametrize("small", [convolution.SMALL, 100])
@given(st.data())
def test_any_convolution_and_its_gradients_are_the_sums_they_say(small, data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    groups, kh, kw, s, p, d, e = draw(1, 2), draw(1, 3), draw(1, 3), draw(1, 2), draw(0, 2), draw(1, 2), draw(1, 2)
    H, W, C, out = draw(d * (kh - 1) + 1, 6), draw(e * (kw - 1) + 1, 6), draw(1, 5), draw(1, 4)
    rng = np.random.default_rng(draw(0, 99))
    x, w = rng.standard_normal((3, C * groups, H, W)), rng.standard_normal((out * groups, C, kh, kw))
    X, K = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
    with pytest.MonkeyPatch.context() as patch:  # small: several chunks of rows, several parts
        patch.setattr(convolution, "SMALL", small)
        patch.setattr(convolution, "FEW", 1 if small == 100 else convolution.FEW)
        patch.setattr(convolution, "SHARED", 0 if small == 100 else convolution.SHARED)
        y = F.conv2d(X, K, stride=s, padding=p, dilation=(d, e), groups=groups)
        g = rng.standard_normal(y.shape)
        y.backward(g)
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    n, o, i, j = draw(0, 2), draw(0, len(w) - 1), draw(0, y.shape[2] - 1), draw(0, y.shape[3] - 1)
    channels = slice(C * (o // out), C * (o // out) + C)
    seen = padded[n, channels, i * s : i * s + d * (kh - 1) + 1 : d, j * s : j * s + e * (kw - 1) + 1 : e]
    np.testing.assert_allclose(y.data[n, o, i, j], np.sum(seen * w[o]), atol=1e-12)
    for tensor in X, K:  # y is linear in both: <g, y> = <dx, x> = <dw, w>
        np.testing.assert_allclose(np.sum(tensor.grad * tensor.data), np.sum(g * y.data), atol=1e-10)


def test_dropout_keeps_the_mean_and_follows_its_generator():
    x = np.ones((400, 500), np.float32)
    y = F.dropout(x, p=0.3, rng=1).data
    assert set(np.unique(y)) == {np.float32(0), np.float32(65536 / 45875)}
    assert abs(np.mean(y == 0) - 0.3) < 0.005
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(F.dropout(x, p=0.3, rng=rng).data, y)
    assert (F.dropout(x, p=0.3, rng=rng).data != y).any()


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.Philox])
@pytest.mark.parametrize("shape", [(4, 6), (3, 5, 4), (3, 5), (0, 4)])
@pytest.mark.parametrize("order", "CF")
def test_dropout_takes_16_random_bits_for_each_element_in_the_order_of_its_indices(bits, shape, order):
    x = np.ones(shape, np.float32, order=order)
    drawn = np.random.Generator(bits(3)).integers(0, 65536, shape, np.uint16)
    dropped = F.dropout(x, p=0.25, rng=np.random.Generator(bits(3))).data
    np.testing.assert_allclose(dropped, (drawn < 49152) / 0.75, rtol=1e-6)


def test_linear_takes_any_leading_axes_and_few_or_many_rows():
    rng = np.random.default_rng(0)
    for rows in (0, 1, 63, 64, 65, 200):
        x, w, b = rng.standard_normal((rows, 5)), rng.standard_normal((3, 5)), rng.standard_normal(3)
        y = F.linear(x, w, b).data
        np.testing.assert_allclose(y, x @ w.T + b, atol=1e-13)
        assert F.linear(x.reshape(-1, 1, 5), w).shape == (rows, 1, 3)


def test_batch_norm_with_its_own_statistics_equals_the_same_ones_given():
    x = np.random.default_rng(0).standard_normal((6, 3, 2))
    seen = {}
    y = F.batch_norm(x, seen=seen)
    np.testing.assert_allclose(F.batch_norm(x, mean=seen["mean"], var=seen["var"]).data, y.data)
    np.testing.assert_allclose(seen["mean"], x.mean((0, 2)))
    np.testing.assert_allclose(seen["var"], x.var((0, 2)))


def test_when_every_row_is_ignored_the_loss_is_zero():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    loss = F.cross_entropy(x, np.array([-100, -100]), label_smoothing=0.1)
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_ignored_rows_with_label_smoothing_get_no_gradient():
    x = Tensor(np.random.default_rng(0).standard_normal((3, 4)), requires_grad=True)
    F.cross_entropy(x, np.array([1, 3, 0]), label_smoothing=0.2, ignore_index=3).backward()
    assert not x.grad[1].any()
    assert x.grad[[0, 2]].all()
    assert gradcheck(lambda x: F.cross_entropy(x, np.array([1, 3, 0]), label_smoothing=0.2, ignore_index=3), x)


@pytest.mark.parametrize("loss", [F.mse, F.l1, F.huber, F.binary_cross_entropy_with_logits])
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1)), ((4, 3), (3,)), ((4, 3), ()), ((4,), (1,))])
def test_losses_never_broadcast(loss, shapes):
    output, target = np.zeros(shapes[0]), np.zeros(shapes[1])
    with pytest.raises(ShapeError, match=r"must have one shape; (reshape the target to|give one target)") as error:
        loss(output, target)
    assert str(shapes[0]) in str(error.value)
    assert str(shapes[1]) in str(error.value)


BAD = {
    "linear": (lambda: F.linear(np.ones((2, 3)), np.ones((4, 2))), "weight (out, in)"),
    "linear bias": (lambda: F.linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), "bias (out,)"),
    "conv axes": (lambda: F.conv2d(np.ones((3, 4, 4)), np.ones((2, 3, 2, 2))), "x (N, C, H, W)"),
    "conv channels": (lambda: F.conv2d(np.ones((1, 3, 4, 4)), np.ones((2, 2, 2, 2))), "weight (O, C/groups, kh, kw)"),
    "conv small": (lambda: F.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3))), "does not fit into 2 × 2"),
    "conv same": (lambda: F.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), stride=2, padding="same"), "stride 1"),
    "pool padding": (lambda: F.max_pool2d(np.ones((1, 1, 4, 4)), kernel_size=2, padding=2), "more than half"),
    "negative": (lambda: F.embedding(np.ones((3, 2)), np.array([0, -1])), "index -1 names no row of weight"),
    "too large": (lambda: F.embedding(np.ones((3, 2)), np.array([0, 3])), "there are 3, from 0 to 2"),
    "fractions": (lambda: F.embedding(np.ones((3, 2)), np.array([0.5])), "expected integers"),
    "class": (lambda: F.cross_entropy(np.ones((2, 3)), np.array([0, 3])), "index 3 names no class"),
    "class floats": (lambda: F.cross_entropy(np.ones((2, 3)), np.array([0.0, 1.0])), "got dtype float64"),
    "class column": (lambda: F.cross_entropy(np.ones((2, 3)), np.array([[0], [1]])), "shape (2,), got (2, 1)"),
    "weights": (lambda: F.nll(np.ones((2, 3)), np.array([0, 1]), weight=np.ones(2)), "each of the 3 classes"),
    "reduction": (lambda: F.mse(np.ones(2), np.ones(2), reduction="avg"), '"mean", "sum" or "none"'),
    "gelu": (lambda: F.gelu(np.ones(2), approximate="erf"), '"none" or "tanh"'),
    "one value": (lambda: F.batch_norm(np.ones((1, 3))), "use a batch of at least 2"),
    "norm sizes": (lambda: F.layer_norm(np.ones((2, 3)), np.ones(2)), "the last axes of x"),
    "dropout": (lambda: F.dropout(np.ones(2), p=1.0, rng=0), "p is 1.0"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_call_says_what_was_expected(case):
    call, words = BAD[case]
    with pytest.raises(ShapeError) as error:
        call()
    assert words in str(error.value)
    assert str(error.value).startswith("<")


def test_max_pooling_lets_nan_through():
    assert np.isnan(F.max_pool2d(np.full((1, 1, 2, 2), np.nan), kernel_size=2).item())


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_a_window_that_does_not_fit_is_refused(pool):
    with pytest.raises(ShapeError, match="does not fit into 2 × 4"):
        pool(np.ones((1, 1, 2, 4)), kernel_size=(3, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "expected sizes of at least 1, got kernel (3, 3), stride (0, 0)"),
        ({"padding": -1}, "padding is (-1, -1); expected at least 0"),
        ({"bias": np.ones(1)}, "expected bias of shape (4,)"),
    ],
)
def test_a_convolution_with_wrong_options_is_refused(options, message):
    with pytest.raises(ShapeError, match=re.escape(message)):
        F.conv2d(np.ones((1, 2, 5, 5)), np.ones((4, 2, 3, 3)), **options)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_of_no_images(kernel):
    x, w = (Tensor(np.ones(shape), requires_grad=True) for shape in ((0, 8, 5, 5), (4, 8, kernel, kernel)))
    y = F.conv2d(x, w, np.zeros(4))
    y.backward(np.ones(y.shape))
    assert (y.shape, x.grad.shape) == ((0, 4, 6 - kernel, 6 - kernel), (0, 8, 5, 5))
    assert not w.grad.any()


@pytest.mark.parametrize("order", "CFK")
@pytest.mark.parametrize("shape", [(3, 5), (70, 1000), (65, 4, 16, 17), (2**17 + 3,)])
def test_relu_gives_its_gradient_where_its_result_is_positive(shape, order):
    """Also where it is computed part by part, in any order of memory (K: images with their channels last)."""
    rng = np.random.default_rng(0)
    values, g = rng.standard_normal((2, *shape), np.float32)
    stored = np.moveaxis(np.moveaxis(values, 1, -1).copy(), -1, 1) if order == "K" and len(shape) > 2 else values
    x = Tensor(stored.copy(order=order), requires_grad=True)
    F.relu(x).backward(g)
    np.testing.assert_array_equal(x.grad, np.where(values > 0, g, np.float32(0)))


NARROW = [(np.int8, 300), (np.int16, 70000)]


@pytest.mark.parametrize(("dtype", "count"), NARROW)
def test_an_index_below_0_is_refused_or_ignored_also_in_a_narrow_dtype(dtype, count):
    with pytest.raises(ShapeError, match="index -1"):
        F.embedding(Tensor(np.zeros((count, 2))), np.array([3, -1], dtype))
    x = Tensor(np.zeros((2, count)))
    with pytest.raises(ShapeError, match="index -1"):
        F.cross_entropy(x, np.array([3, -1], dtype))
    losses = F.cross_entropy(x, np.array([3, -100], dtype), reduction="none")
    np.testing.assert_allclose(losses.data, [np.log(count), 0])


def test_indices_may_lie_in_another_order_of_bytes():
    w = Tensor(np.arange(8.0).reshape(4, 2))
    np.testing.assert_array_equal(F.embedding(w, np.array([3, 1], ">i4")).data, w.data[[3, 1]])
